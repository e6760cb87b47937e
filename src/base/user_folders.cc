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

}  // namespace

fs::path HomeInDatabase() {
  std::array<char, 16384> buffer;
  passwd entry;
  passwd* found = nullptr;
  if (getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) return {};
  return found->pw_dir;
}

fs::path XdgFolder(const char* variable, const fs::path& home, const char* below) {
  const fs::path given = PathIn(variable);
  if (!given.empty()) return given / "linnet";
  return home.empty() ? home : home / below / "linnet";
}

fs::path UserCacheFolder() {
  fs::path home = PathIn("HOME");
  if (home.empty()) home = HomeInDatabase();
  return XdgFolder("XDG_CACHE_HOME", home, ".cache");
}

}  // namespace linnet
