// Where a user's files of a kind belong, by the XDG Base Directory Specification.
#ifndef LINNET_BASE_USER_FOLDERS_H_
#define LINNET_BASE_USER_FOLDERS_H_

#include <filesystem>

namespace linnet {

// The home folder that the user database names, whatever the environment says; empty if none.
std::filesystem::path HomeInDatabase();

// $VARIABLE/linnet if that is an absolute path, else HOME/below/linnet; empty if `home` is.
std::filesystem::path XdgFolder(const char* variable, const std::filesystem::path& home,
                                const char* below);

// $XDG_CACHE_HOME/linnet, or ~/.cache/linnet; empty if there is no home folder. What is in it can
// be made again. Does not create it.
std::filesystem::path UserCacheFolder();

}  // namespace linnet

#endif  // LINNET_BASE_USER_FOLDERS_H_
