// ResponseStore: the responses that clients may ask for again or continue, kept by owner.
#ifndef LINNET_SERVER_RESPONSE_STORE_H_
#define LINNET_SERVER_RESPONSE_STORE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace linnet {

struct ResponseStoreOptions {
  std::filesystem::path folder{};  // for responses.sqlite; empty: in memory only
  uint64_t owner_bytes = uint64_t{64} << 20;
  uint64_t total_bytes = uint64_t{1} << 30;
  // A response that nobody asked for or continued for this long is deleted.
  std::chrono::seconds expiry = std::chrono::hours(24 * 30);
  // For tests; by default the system's clock.
  std::function<std::chrono::system_clock::time_point()> now{};
};

// A node of the tree of responses: what went in and what came out.
struct StoredResponse {
  std::string id;
  std::string parent{};        // the response that this one continues; empty at a root
  std::string conversation{};  // empty if it belongs to none
  nlohmann::json input = nlohmann::json::array();  // items, each with an id
  nlohmann::json response{};  // the object that a client gets; its `output` is part of the history
};

struct ResponseHistory {
  std::vector<nlohmann::json> items{};
  std::string missing{};
};

struct ResponseStoreStatistics {
  uint64_t responses = 0, bytes = 0;
  uint64_t failures = 0;  // responses that could not be written, as when the disk is full
};

// Thread-safe. Writes happen on a thread of its own, in order; reads on the caller's. Without a
// folder everything is kept in memory. A file that is damaged or of an unknown schema is replaced.
// Ids of another owner are as unknown as ids that never were.
class ResponseStore {
 public:
  // Throws Error kIo if the folder cannot be made or the file cannot be opened.
  explicit ResponseStore(const ResponseStoreOptions& options);
  // Returns after all writes; but at once in `then`, and they follow.
  ~ResponseStore();
  ResponseStore(const ResponseStore&) = delete;
  ResponseStore& operator=(const ResponseStore&) = delete;

  // Keeps it in place of an older one with the same id, and drops those of the owner that were not
  // used for longest while they take too much. Returns at once; `then` (may be empty) is called
  // on the store's thread when Get can return it, also after a restart, or when the write failed.
  // `then` must not throw.
  void Put(const std::string& owner, const StoredResponse& response, std::function<void()> then);

  std::optional<StoredResponse> Get(const std::string& owner, const std::string& id);
  // False if it is unknown. Responses that continue it can be read, but not continued.
  bool Erase(const std::string& owner, const std::string& id);
  // The latest response of a conversation; empty if there is none.
  std::string Latest(const std::string& owner, const std::string& conversation);

  // All items up to the end of a response, from the root of its tree: inputs and outputs in order.
  // Marks the responses as used. If one of them is unknown, `missing` is its id and there are no
  // items. Throws Error kBadInput if the items are too many.
  ResponseHistory History(const std::string& owner, const std::string& id);

  ResponseStoreStatistics statistics() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;  // the thread has it too
};

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSE_STORE_H_
