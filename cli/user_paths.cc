#include "cli/user_paths.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "cli/model.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// Also works if the environment does not set it.
fs::path Home() {
  const fs::path home = HomeFolder();
  if (!home.empty()) return home;
  const passwd* const user = getpwuid(getuid());
  return user == nullptr ? fs::path() : fs::path(user->pw_dir);
}

}  // namespace

std::string ExpandHome(const std::string& name) {
  if (!name.starts_with('~')) return name;
  const size_t end = std::min(name.find('/'), name.size());
  fs::path home;
  if (end == 1) {
    home = Home();
  } else if (const passwd* const user = getpwnam(name.substr(1, end - 1).c_str())) {
    home = user->pw_dir;
  }
  return home.empty() ? name : home.string() + name.substr(end);
}

fs::path StateFolder() {
  const char* const state = std::getenv("XDG_STATE_HOME");
  if (state != nullptr && *state == '/')
    return fs::path(state) / "linnet";  // ignore relative paths
  const fs::path home = Home();
  return home.empty() ? home : home / ".local" / "state" / "linnet";
}

}  // namespace linnet::cli
