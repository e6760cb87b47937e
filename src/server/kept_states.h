// KeptStates: states that clients keep by name, for /v1/states and the field `state` of requests.
#ifndef LINNET_SERVER_KEPT_STATES_H_
#define LINNET_SERVER_KEPT_STATES_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/signed_state.h"

namespace linnet {

class SqliteFile;
struct ServedModel;

struct KeptStatesOptions {
  std::filesystem::path folder{};  // for states.sqlite; empty: in memory, until the program ends
  // What signs states. Empty: that of the file `state-key` in the folder, which is made if there is
  // none; without a folder a new one.
  std::vector<std::byte> key{};
  uint64_t owner_bytes = uint64_t{4} << 30, total_bytes = uint64_t{32} << 30;
  uint64_t memory_bytes = uint64_t{512} << 20;  // of states that are kept ready for use
};

// A state without its values.
struct KeptState {
  std::string id{}, name{};
  std::string model{};  // that it was made with, as in the routes
  // The id of the state that it began with, as long as that is kept; then of that one's. Empty:
  // none.
  std::string parent{};
  StateFacts facts{};
  int64_t used = 0;    // Unix time
  uint64_t bytes = 0;  // as stored
  bool shared = false;
  std::string mark{};  // of these bytes and no others
};

// A state ready for use. Immutable.
struct ReadyState {
  Snapshot snapshot;
  StateFacts facts;
  std::string mark{};  // as in KeptState; Job::start_key
};

// The state in signed bytes, of this execution identity: IdentityWith. Throws Error kBadState if
// this model cannot use it.
std::shared_ptr<const ReadyState> OpenReadyState(std::span<const std::byte> bytes,
                                                 const ServedModel& served,
                                                 const std::string& identity,
                                                 std::span<const std::byte> key);

// Thread-safe. Each owner has states of his own; those that are shared are found by all, after
// their own, and can be changed by whoever calls with `shared`. They stay until they are erased.
class KeptStates {
 public:
  // Throws Error kIo if the folder cannot be used. A file that is damaged is put aside, as
  // states.sqlite.damaged.
  explicit KeptStates(const KeptStatesOptions& options);
  // After what was posted; on the thread itself at once, and that follows.
  ~KeptStates();
  KeptStates(const KeptStates&) = delete;
  KeptStates& operator=(const KeptStates&) = delete;

  // Keeps the state in place of an older one with this id, and returns how it is kept. One that
  // goes on from itself keeps its parent. Encodes and writes on the caller's thread. Throws
  // RequestError 413 if it would be too much, 503 if it cannot be written.
  KeptState Put(const std::string& owner, KeptState state, const Snapshot& snapshot);
  std::optional<KeptState> Find(const std::string& owner, const std::string& id);
  // The latest used first.
  std::vector<KeptState> List(const std::string& owner);
  // Throws RequestError: 404, 422 if this model cannot use it.
  std::shared_ptr<const ReadyState> Open(const std::string& owner, const std::string& id,
                                         const ServedModel& served, const std::string& identity);
  // The stored bytes, which are signed; nothing if there is no such state.
  std::optional<std::vector<std::byte>> Read(const std::string& owner, const std::string& id);
  bool Erase(const std::string& owner, const std::string& id, bool shared);
  // Changes its name. False if there is no such state.
  bool Rename(const std::string& owner, const std::string& id, bool shared,
              const std::string& name);

  // Keeps other writers away from the id until the last copy is gone. Throws RequestError 409 if
  // there is one. States may be read meanwhile.
  std::shared_ptr<const void> ClaimWriter(const std::string& owner, const std::string& id);

  // Runs it on a thread for what takes longer than an answer may wait; in order.
  void Post(std::function<void()> work);

  std::span<const std::byte> key() const { return key_; }

 private:
  using Key = std::pair<std::string, std::string>;  // owner, id
  struct InMemory {
    Key key;
    std::shared_ptr<const ReadyState> state;
  };
  class Claims;

  void OpenFile();
  template <class F>
  auto WithFile(const F& use);
  void Remember(const Key& key, std::shared_ptr<const ReadyState> state);
  void Forget(const Key& key);
  std::shared_ptr<const ReadyState> Remembered(const Key& key, const std::string& mark);

  const KeptStatesOptions options_;
  std::vector<std::byte> key_;

  std::mutex file_mutex_;  // of the file
  std::unique_ptr<SqliteFile> file_;

  std::mutex memory_mutex_;     // of the next two
  std::list<InMemory> memory_;  // the latest used first
  uint64_t memory_bytes_ = 0;

  const std::shared_ptr<Claims> claims_;

  // What the thread uses, which may be the last to hold this.
  struct Worker;
  const std::shared_ptr<Worker> worker_;
  std::thread thread_;
};

// The key in a file of the operator's: its bytes without blanks at the end, at least 16. Throws
// Error kIo, kBadInput.
std::vector<std::byte> ReadStateKey(const std::filesystem::path& file);

}  // namespace linnet

#endif  // LINNET_SERVER_KEPT_STATES_H_
