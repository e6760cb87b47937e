#include "base/user_folders.h"

#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdlib>

namespace linnet {
namespace {

namespace fs = std::filesystem;

// An absolute path from the environment, else empty.
fs::path PathIn(const char* variable) {
  const char* const value = std::getenv(variable);
  return value != nullptr && *value == '/' ? fs::path(value) : fs::path();
}

fs::path HomeInDatabase() {
  std::array<char, 16384> buffer;
  passwd entry;
  passwd* found = nullptr;
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return {};
  return found->pw_dir;
}

}  // namespace

fs::path UserCacheFolder() {
  const fs::path cache = PathIn("XDG_CACHE_HOME");
  if (!cache.empty()) return cache / "linnet";
  fs::path home = PathIn("HOME");
  if (home.empty()) home = HomeInDatabase();
  return home.empty() ? home : home / ".cache" / "linnet";
}

}  // namespace linnet
