// Paths in the user's home.
#ifndef LINNET_CLI_USER_PATHS_H_
#define LINNET_CLI_USER_PATHS_H_

#include <filesystem>
#include <string>

namespace linnet::cli {

// `name` with ~ and ~USER at its front as a shell expands them; as it is if there is no such user.
std::string ExpandHome(const std::string& name);

// $XDG_STATE_HOME/linnet, or ~/.local/state/linnet; empty without a home.
std::filesystem::path StateFolder();

}  // namespace linnet::cli

#endif  // LINNET_CLI_USER_PATHS_H_
