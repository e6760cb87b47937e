// DownloadFile: fetches a file that may be large, whole and checked, over connections that break.
#ifndef LINNET_DOWNLOAD_FILE_DOWNLOAD_H_
#define LINNET_DOWNLOAD_FILE_DOWNLOAD_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "base/sha256.h"

namespace linnet {

// A file on a server, and what is known of it beforehand.
struct RemoteFile {
  std::string path;  // in its repository, with '/'
  std::string url;
  std::optional<uint64_t> size;
  std::optional<Digest> sha256;
};

struct FileDownloadOptions {
  std::string token;
  int tries = 5;       // in a row without a megabyte of progress
  long patience = 60;  // FetchRequest::patience
  // Bytes that are there, of how many. Called a few times a second, also during a stall; what it
  // throws ends the download, which a later one resumes. May be empty.
  std::function<void(uint64_t done, uint64_t total)> progress;
  // Waits so many seconds before another try. Empty: sleeps, and calls `progress` meanwhile.
  std::function<void(int)> pause;
};

struct DownloadedFile {
  uint64_t bytes = 0;
  Digest sha256{};
  bool checked = false;  // against the server's digest, from the list of files or a header
};

// Fetches `file` to `target`, whose folder exists. The bytes collect in a hidden file beside it,
// `.NAME.part`, and appear under `target` when they are complete, of the size that was announced,
// and of the right SHA-256. A download that ended early is resumed, also by a later call, if the
// server has the file unchanged; otherwise it begins anew. A `target` that is complete already is
// only hashed. Throws Error kIo if the server refuses, sends other bytes than announced, or breaks
// off again and again; if there is no room on the disk; and if the same download runs elsewhere.
// Any thread.
DownloadedFile DownloadFile(const RemoteFile& file, const std::filesystem::path& target,
                            const FileDownloadOptions& options);

}  // namespace linnet

#endif  // LINNET_DOWNLOAD_FILE_DOWNLOAD_H_
