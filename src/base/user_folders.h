// Where a user's files of a kind belong, by the XDG Base Directory Specification.
#ifndef LINNET_BASE_USER_FOLDERS_H_
#define LINNET_BASE_USER_FOLDERS_H_

#include <filesystem>

namespace linnet {

// $XDG_CACHE_HOME/linnet, or ~/.cache/linnet; empty if there is no home folder. What is in it can
// be made again. Does not create it.
std::filesystem::path UserCacheFolder();

}  // namespace linnet

#endif  // LINNET_BASE_USER_FOLDERS_H_
