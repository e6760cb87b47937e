#include "server/response_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "linnet/error.h"
#include "server/json_fields.h"
#include "server/response_rows.h"

namespace linnet {
namespace {

constexpr size_t kMaxHistoryBytes = size_t{64} << 20;
constexpr size_t kMaxHistoryNodes = 10000;
constexpr int kMaxDepth = 512;  // of the JSON
// What may wait to be written; more is refused, so that a stuck disk does not fill the memory.
constexpr size_t kMaxWaitingBytes = size_t{128} << 20;

int64_t Microseconds(std::chrono::system_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::microseconds>(time).count();
}

// Null if it is no JSON or too deep, which nothing that was written is.
nlohmann::json ParseKept(const std::string& text) {
  bool deep = false;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    deep = deep || depth > kMaxDepth;
    return true;
  };
  nlohmann::json value = nlohmann::json::parse(text, watch, false);
  return value.is_discarded() || deep ? nlohmann::json() : value;
}

std::optional<StoredResponse> FromRow(std::optional<ResponseRow> row) {
  if (!row) return std::nullopt;
  StoredResponse response{std::move(row->id), std::move(row->parent), std::move(row->conversation),
                          ParseKept(row->input), ParseKept(row->response)};
  if (!response.input.is_array() || !response.response.is_object()) return std::nullopt;
  return response;
}

}  // namespace

class ResponseStore::Impl {
 public:
  explicit Impl(const ResponseStoreOptions& options) : options_(options), rows_(options.folder) {
    if (!options_.now) options_.now = [] { return std::chrono::system_clock::now(); };
  }

  static void Start(const std::shared_ptr<Impl>& self) {
    self->thread_ = std::thread([self] { self->Work(); });
  }

  // Ends the thread after what waits. Once.
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    // The last owner of the store may be what a `then` held.
    if (thread_.get_id() == std::this_thread::get_id()) {
      thread_.detach();
    } else {
      thread_.join();
    }
  }

  void Put(const std::string& owner, const StoredResponse& response, std::function<void()> then) {
    ResponseRow row{owner,
                    response.id,
                    response.parent,
                    response.conversation,
                    Dump(response.input),
                    Dump(response.response)};
    const size_t bytes = row.bytes();
    Enqueue(bytes, [this, row = std::move(row), then = std::move(then)](bool refused) {
      try {
        if (refused) throw SqliteFault{"too much waits to be written"};
        rows_.Write(row, Now(), {options_.owner_bytes, options_.total_bytes, Oldest()});
      } catch (const SqliteFault&) {
        const std::lock_guard lock(mutex_);
        ++failures_;
      }
      if (then) then();
    });
  }

  std::optional<StoredResponse> Get(const std::string& owner, const std::string& id) {
    auto found = FromRow(rows_.Read(owner, id, Oldest()));
    if (found) Touch(owner, {id});
    return found;
  }

  bool Erase(const std::string& owner, const std::string& id) { return rows_.Erase(owner, id); }

  std::string Latest(const std::string& owner, const std::string& conversation) {
    return rows_.Latest(owner, conversation);
  }

  ResponseHistory History(const std::string& owner, const std::string& id) {
    std::vector<StoredResponse> nodes;
    std::vector<std::string> ids;
    size_t bytes = 0;
    for (std::string at = id; !at.empty();) {
      std::optional<ResponseRow> row = rows_.Read(owner, at, Oldest());
      if (row) bytes += row->bytes();
      std::optional<StoredResponse> node = FromRow(std::move(row));
      if (!node) return {{}, at};
      if (bytes > kMaxHistoryBytes || ids.size() >= kMaxHistoryNodes) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("{} and the responses before it are more than {} or than {} MiB, "
                                "start a new conversation",
                                id, kMaxHistoryNodes, kMaxHistoryBytes >> 20));
      }
      ids.push_back(at);
      at = node->parent;
      nodes.push_back(std::move(*node));
    }
    std::reverse(nodes.begin(), nodes.end());
    ResponseHistory history;
    for (StoredResponse& node : nodes) {
      for (auto& item : node.input) history.items.push_back(std::move(item));
      const auto output = node.response.find("output");
      if (output == node.response.end() || !output->is_array()) continue;
      for (auto& item : *output) history.items.push_back(std::move(item));
    }
    // The root last: it is never deleted before what continues it.
    Touch(owner, std::move(ids));
    return history;
  }

  ResponseStoreStatistics statistics() const {
    const ResponseRows::Size size = rows_.size();
    const std::lock_guard lock(mutex_);
    return {size.rows, size.bytes, failures_};
  }

 private:
  struct Task {
    size_t bytes;
    bool refused;
    std::function<void(bool refused)> run;
  };

  void Touch(const std::string& owner, std::vector<std::string> ids) {
    const size_t bytes = ids.size() * 64;
    Enqueue(bytes, [this, owner, ids = std::move(ids)](bool refused) {
      if (!refused) rows_.Touch(owner, ids, Now());
    });
  }

  void Enqueue(size_t bytes, std::function<void(bool)> run) {
    {
      const std::lock_guard lock(mutex_);
      const bool refused = waiting_bytes_ + bytes > kMaxWaitingBytes;
      if (!refused) waiting_bytes_ += bytes;
      tasks_.push_back({refused ? 0 : bytes, refused, std::move(run)});
    }
    wake_.notify_one();
  }

  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      Task task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task.run(task.refused);
      task.run = nullptr;  // what it holds goes before the next wait
      lock.lock();
      waiting_bytes_ -= task.bytes;
    }
  }

  int64_t Now() const { return Microseconds(options_.now().time_since_epoch()); }
  int64_t Oldest() const { return Now() - Microseconds(options_.expiry); }

  ResponseStoreOptions options_;
  ResponseRows rows_;
  mutable std::mutex mutex_;  // of the following
  std::condition_variable wake_;
  std::deque<Task> tasks_;
  size_t waiting_bytes_ = 0;
  uint64_t failures_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

ResponseStore::ResponseStore(const ResponseStoreOptions& options)
    : impl_(std::make_shared<Impl>(options)) {
  Impl::Start(impl_);
}
ResponseStore::~ResponseStore() { impl_->Stop(); }

void ResponseStore::Put(const std::string& owner, const StoredResponse& response,
                        std::function<void()> then) {
  impl_->Put(owner, response, std::move(then));
}
std::optional<StoredResponse> ResponseStore::Get(const std::string& owner, const std::string& id) {
  return impl_->Get(owner, id);
}
bool ResponseStore::Erase(const std::string& owner, const std::string& id) {
  return impl_->Erase(owner, id);
}
std::string ResponseStore::Latest(const std::string& owner, const std::string& conversation) {
  return impl_->Latest(owner, conversation);
}
ResponseHistory ResponseStore::History(const std::string& owner, const std::string& id) {
  return impl_->History(owner, id);
}
ResponseStoreStatistics ResponseStore::statistics() const { return impl_->statistics(); }

}  // namespace linnet
