// SearchIndex: the vectors of the passages of a folder's text files, in SQLite, so that only files
// that changed are read again.
#ifndef LINNET_SEARCH_SEARCH_INDEX_H_
#define LINNET_SEARCH_SEARCH_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "text/passages.h"

namespace linnet {

// A file below a folder, and what tells that it changed.
struct SearchFile {
  std::string path{};  // from the folder, with slashes
  uint64_t bytes = 0;
  int64_t mtime = 0, ctime = 0;  // nanoseconds since 1970
};

// The regular files below a folder, by path, up to `most_bytes` each. Hidden ones, those in hidden
// folders, and links are left out. Throws Error kIo if it is no folder or cannot be read.
std::vector<SearchFile> FilesBelow(const std::filesystem::path& folder, uint64_t most_bytes);

struct SearchHit {
  std::string path{};  // of the file
  Passage passage{};
  double score = 0;  // the cosine, -1 to 1
};

// Which folder, model and pooling an index is of: a text for each.
struct SearchKey {
  std::string folder{}, identity{}, pooling{};
};

// One thread at a time; several processes may share a file. All functions throw Error kIo if the
// disk fails, or another process keeps the file for long.
class SearchIndex {
 public:
  // Opens or makes the file of this key in `home`, a folder for this user only. A damaged file, or
  // one of another version, is made anew; `log` gets a line that says so.
  SearchIndex(const std::filesystem::path& home, const SearchKey& key, size_t width,
              const std::function<void(const std::string&)>& log = {});
  ~SearchIndex();
  SearchIndex(const SearchIndex&) = delete;
  SearchIndex& operator=(const SearchIndex&) = delete;

  const std::filesystem::path& path() const;

  // Whether the file is as it was when it was put. One that was changed less than two seconds
  // before that may have changed once more at the same time.
  bool Knows(const SearchFile& file);
  // The digest that it was put with; empty if it is not here.
  std::string DigestOf(const SearchFile& file);
  // In place of what is known of the file; one transaction for all. `vectors` [passages, width].
  // A file with no passages is one that is no text.
  struct Entry {
    SearchFile file{};
    std::string digest{};  // of its bytes
    std::vector<Passage> passages{};
    std::vector<float> vectors{};
  };
  void Put(std::span<const Entry> entries);
  // The file has other times and the same bytes.
  void Touch(const SearchFile& file);
  // Drops all other files. Returns how many.
  size_t KeepOnly(std::span<const SearchFile> files);

  size_t texts();  // files with passages
  size_t passages();
  // The best first; equal ones in the order of paths and places. At most `top`.
  std::vector<SearchHit> Nearest(std::span<const float> query, size_t top);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_SEARCH_SEARCH_INDEX_H_
