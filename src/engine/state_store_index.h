// StateIndex: which files a state cache has on disk, in SQLite. What it says is checked against the
// files, which could be indexed anew.
#ifndef LINNET_ENGINE_STATE_STORE_INDEX_H_
#define LINNET_ENGINE_STATE_STORE_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "engine/state_store_blob.h"

namespace linnet {

class SqliteFile;

// How an entry is ranked; may be older than in memory.
struct StoredUse {
  uint64_t file = 0;
  int64_t used = 0;   // seconds since 1970
  double base = 0;    // Rank::base
  uint64_t work = 0;  // CacheEntry::work
};

struct StoredEntry {
  StoredUse use;
  BlobKey key;
  uint64_t bytes = 0;  // of the file
};

// One thread at a time. All functions throw Error: kBadState if the index is damaged or of another
// version and should be made anew, kIo if the disk fails.
class StateIndex {
 public:
  // Opens or creates `index.sqlite` in the folder, for this user only.
  explicit StateIndex(const std::filesystem::path& folder);
  ~StateIndex();
  StateIndex(const StateIndex&) = delete;
  StateIndex& operator=(const StateIndex&) = delete;

  // Removes the file, whatever is in it.
  static void Delete(const std::filesystem::path& folder) noexcept;

  // Calls body(entry) for each row, in the order of the files' numbers; of rows of other identities
  // without the tokens. nullopt instead of what makes no sense, with its file's number.
  using Body = std::function<void(uint64_t file, std::optional<StoredEntry>)>;
  void ForEach(const Digest& identity, const Body& body);

  // One transaction each.
  void Add(std::span<const StoredEntry> entries);
  void Remove(std::span<const uint64_t> files);
  void Update(std::span<const StoredUse> uses);

 private:
  template <class F>
  void Using(const F& body);
  template <class T, class F>
  void Change(const char* sql, std::span<const T> rows, const F& bind);
  static void Open(SqliteFile& file);
  void ForEachRow(const Digest& identity, const Body& body);

  const std::filesystem::path path_;
  std::unique_ptr<SqliteFile> file_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_STORE_INDEX_H_
