#include "cli/user_paths.h"

#include <pwd.h>

#include <algorithm>

#include "base/user_folders.h"
#include "cli/model.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// Also works if the environment does not set it.
fs::path Home() {
  const fs::path home = HomeFolder();
  return home.empty() ? HomeInDatabase() : home;
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

fs::path StateFolder() { return XdgFolder("XDG_STATE_HOME", Home(), ".local/state"); }

}  // namespace linnet::cli
