// The SHA-256 of files of any size: computed by all threads, and kept from one run to the next.
#ifndef LINNET_IO_FILE_DIGEST_H_
#define LINNET_IO_FILE_DIGEST_H_

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>

#include "base/mapped_file.h"
#include "base/sha256.h"
#include "base/thread_pool.h"

namespace linnet {

// The digest of the digests of pieces of 4 MiB, so that threads can share the work. It does not
// depend on their number, and is not the plain SHA-256 of the bytes.
Digest TreeDigest(std::span<const std::byte> bytes, ThreadPool& pool);

// Digests by stamp in one small file, of the files that were digested last. The file is replaced as
// a whole; one that is damaged, of another version, or open to other users' changes counts as empty
// and is written anew. A folder that cannot be written keeps nothing, which is no error. Any number
// of threads and processes may use one folder; of two that write at once, one is forgotten.
class DigestCache {
 public:
  // An empty path: nothing is kept. The folder is made when something is, readable by the user
  // only. Stamps of files changed more recently than `settled` ago are not kept: a further change
  // might leave the stamp as it is, where a file system counts time in whole seconds. Of more than
  // `entries` digests, the oldest are forgotten.
  explicit DigestCache(std::filesystem::path folder,
                       std::chrono::nanoseconds settled = std::chrono::seconds(2),
                       size_t entries = 1000);

  std::filesystem::path file() const;
  std::optional<Digest> Find(const FileStamp& stamp) const;
  // Whether a file with this stamp, digested from now on, may be kept.
  bool IsSettled(const FileStamp& stamp) const;
  void Keep(const FileStamp& stamp, const Digest& digest) const noexcept;

 private:
  std::filesystem::path folder_;
  std::chrono::nanoseconds settled_;
  size_t entries_;
};

// TreeDigest of the bytes that the file had when it was mapped, from the cache if it is there.
// Throws Error kIo if they have been overwritten since.
Digest DigestOf(const MappedFile& file, const DigestCache& cache, ThreadPool& pool);

}  // namespace linnet

#endif  // LINNET_IO_FILE_DIGEST_H_
