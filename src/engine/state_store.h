// StateStore: the folder in which a state cache keeps states: blobs, their index and a lock.
#ifndef LINNET_ENGINE_STATE_STORE_H_
#define LINNET_ENGINE_STATE_STORE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "engine/state_store_blob.h"
#include "engine/state_store_index.h"

namespace linnet {

// What an entry with a blob of so many bytes takes on disk, its row in the index included.
uint64_t StoredBytes(uint64_t blob, size_t tokens);

// One thread at a time, but for Read.
class StateStore {
 public:
  // Creates the folder, for this user only, if there is none. Throws Error: kBadInput if the path
  // is no folder, if it belongs to another user or if others can write to it, which should stop the
  // program; kIo if another process uses it, or if the disk fails.
  StateStore(const std::filesystem::path& folder, const Digest& identity);
  ~StateStore();
  StateStore(const StateStore&) = delete;
  StateStore& operator=(const StateStore&) = delete;

  // What was in the folder when it was opened, in the order of writing; entries of other identities
  // have no tokens. Once.
  std::vector<StoredEntry> TakeEntries() { return std::move(entries_); }

  // A number that no file has.
  uint64_t NewFile() { return ++last_file_; }
  // Writes the file entry.use.file. If the process is killed meanwhile, the next one finds all of
  // it or nothing. Throws Error kIo, and then there is nothing.
  void Write(const StoredEntry& entry, std::span<const std::byte> blob);
  // Throws Error kIo, kBadState if there are more than `most` bytes. Any thread.
  std::vector<std::byte> Read(uint64_t file, uint64_t most) const;
  // The files need not exist. Throws Error kIo if the index cannot be written; the files are gone.
  void Remove(std::span<const uint64_t> files);
  void Update(std::span<const StoredUse> uses);  // throws Error kIo

 private:
  std::filesystem::path PathOf(uint64_t file) const;
  void Reconcile();
  void OpenIndex();
  std::optional<StoredEntry> Adopt(uint64_t file) const;
  // If the index is damaged, makes it anew from the files, and tries again.
  template <class F>
  void WithIndex(const F& body);

  const std::filesystem::path folder_;
  const Digest identity_;
  int lock_ = -1;
  uint64_t last_file_ = 0;
  std::unique_ptr<StateIndex> index_;
  std::vector<StoredEntry> entries_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_STORE_H_
