// Paths in the user's home folder.
#ifndef LINNET_CLI_USER_PATHS_H_
#define LINNET_CLI_USER_PATHS_H_

#include <filesystem>
#include <string>

namespace linnet::cli {

// Expands ~ and ~USER at the start of `name` like a shell; unchanged if there is no such user.
std::string ExpandHome(const std::string& name);

// $XDG_STATE_HOME/linnet, or ~/.local/state/linnet; empty if there is no home folder.
std::filesystem::path StateFolder();

}  // namespace linnet::cli

#endif  // LINNET_CLI_USER_PATHS_H_
