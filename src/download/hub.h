// Hub: the sites that models are published on, their lists of files and their addresses.
#ifndef LINNET_DOWNLOAD_HUB_H_
#define LINNET_DOWNLOAD_HUB_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "download/file_download.h"

namespace linnet {

enum class HubKind : uint8_t { kHuggingFace, kModelScope, kWiseModel };

// "huggingface", "modelscope", "wisemodel".
const char* Name(HubKind kind);
std::optional<HubKind> ParseHubKind(std::string_view name);

struct Hub {
  HubKind kind = HubKind::kHuggingFace;
  std::string endpoint;  // empty: the hub's own site; else a mirror's, "https://hf-mirror.com"
  std::string token;     // of the user there; empty: none
};

// What a user writes for a model: OWNER/REPO, OWNER/REPO/FILE or OWNER/REPO:FILE; before it perhaps
// https:// and the hub's host (hf.co, huggingface.co, modelscope.cn, wisemodel.cn), and in between
// what their pages have there (/models/, /blob/main/, /resolve/main/).
struct HubName {
  std::optional<HubKind> kind;          // if the name has a host
  std::string owner, repository, file;  // `file` may be empty
  std::string revision;                 // if an address has one

  std::string Shown() const;  // OWNER/REPO or OWNER/REPO/FILE
};
// Throws Error kBadInput for anything else, and for names that could leave their folder.
HubName ParseHubName(std::string_view text);

// Whether `path`, from a list of files, is safe below a folder: relative, without "..", hidden
// names, control characters and backslashes.
bool IsSafePath(std::string_view path);

// How requests of lists are repeated.
struct HubPatience {
  int tries = 5;
  long patience = 60;
  std::function<void(int)> pause;  // seconds
  std::function<void()> tick;
};

// The files of a repository, without those whose paths are not safe; `revision` empty: the hub's
// default. Throws Error kIo if it cannot be had, kBadInput for an endpoint that is no address.
// WiseModel has no list that programs may read: nullopt.
std::optional<std::vector<RemoteFile>> ListFiles(const Hub& hub, const HubName& name,
                                                 const std::string& revision,
                                                 const HubPatience& patience);
// The address of one file, of which nothing else is known.
RemoteFile FileOf(const Hub& hub, const HubName& name, const std::string& revision,
                  const std::string& path);
// The endpoint that is used: without '/' at its end. Throws Error kBadInput as ListFiles.
std::string EndpointOf(const Hub& hub);

}  // namespace linnet

#endif  // LINNET_DOWNLOAD_HUB_H_
