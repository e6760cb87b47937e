#include "server/chats.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <mutex>
#include <thread>
#include <utility>

#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/response_rows.h"

namespace linnet {
namespace {

constexpr size_t kMaxIdBytes = 64;
constexpr size_t kMaxTitleBytes = 2000;
constexpr size_t kMaxWaitingCalls = 256;
constexpr ResponseLimits kDropNothing{.owner_bytes = std::numeric_limits<uint64_t>::max(),
                                      .total_bytes = std::numeric_limits<uint64_t>::max()};

int64_t MicrosecondsNow() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

const std::string& ChatIdOf(const RouteCall& call) {
  const std::string& id = call["chat_id"];
  const bool sane = id.size() <= kMaxIdBytes && std::all_of(id.begin(), id.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                             (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
                    });
  if (!sane) {
    throw RequestError(400,
                       fmt::format("chat_id is not 1 to {} letters, digits, - and _", kMaxIdBytes),
                       "chat_id", "invalid_value");
  }
  return id;
}

RequestError NoChat(const std::string& id) {
  return {404, fmt::format("no chat '{}' is kept", id), "chat_id", "chat_not_found"};
}

}  // namespace

class ChatStore::Impl {
 public:
  explicit Impl(const ChatStoreOptions& options)
      : options_(options), rows_(options.folder, "chats.sqlite"), thread_([this] { Work(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }

  // Runs `answer` on the store's thread; what it throws is the answer.
  void Post(const RouteCall& call, std::function<void(const RouteCall&)> answer) {
    {
      const std::lock_guard lock(mutex_);
      if (tasks_.size() >= kMaxWaitingCalls) {
        throw Error(ErrorKind::kBusy, "too many requests for chats wait, try again");
      }
      tasks_.push_back([call, answer = std::move(answer)] {
        try {
          answer(call);
        } catch (const SqliteFault&) {
          SendError(*call.reply, Error(ErrorKind::kNoMemory, "chats cannot be written now"));
        } catch (const std::exception& error) {
          SendError(*call.reply, error);
        }
      });
    }
    wake_.notify_one();
  }

  void List(const RouteCall& call) {
    OrderedJson data = OrderedJson::array();
    for (const ResponseRows::Listed& row : rows_.List(call.request.owner)) {
      const Json about = Json::parse(row.input, nullptr, false);
      data.push_back({{"id", row.id},
                      {"object", "chat"},
                      {"title", about.is_object() ? about.value("title", "") : ""},
                      {"revision", row.used},
                      {"updated", row.used / 1'000'000},
                      {"bytes", row.bytes}});
    }
    call.reply->Send(200, Dump(OrderedJson{{"object", "list"}, {"data", std::move(data)}}));
  }

  void Get(const RouteCall& call, const std::string& id) {
    const auto row = rows_.Read(call.request.owner, id, 0);
    if (!row) throw NoChat(id);
    const Json about = Json::parse(row->input, nullptr, false);
    std::string body =
        Dump(OrderedJson{{"id", id},
                         {"object", "chat"},
                         {"title", about.is_object() ? about.value("title", "") : ""},
                         {"revision", row->used},
                         {"updated", row->used / 1'000'000}});
    // The chat is JSON text already.
    body.pop_back();
    body += ",\"chat\":" + row->response + "}";
    call.reply->Send(200, std::move(body));
  }

  void Put(const RouteCall& call, ResponseRow row, int64_t revision) {
    const auto old = rows_.Read(row.owner, row.id, 0);
    const int64_t current = old ? old->used : 0;
    if (current != revision) {
      throw RequestError(409,
                         fmt::format("revision is {}, but the kept chat has {}: get it, merge both "
                                     "and try again",
                                     revision, current),
                         "revision", "revision_conflict");
    }
    const ResponseRows::Size own = rows_.SizeOf(row.owner);
    const uint64_t before = old ? old->bytes() : 0, bytes = row.bytes();
    const auto room = [&](uint64_t used, uint64_t most) { return used - before + bytes <= most; };
    if (!room(own.bytes, options_.owner_bytes) || (!old && own.rows >= options_.owner_chats)) {
      throw RequestError(413,
                         fmt::format("the kept chats are {} and take {} MB, of at most {} and {} "
                                     "MB: delete some",
                                     own.rows, own.bytes / 1'000'000, options_.owner_chats,
                                     options_.owner_bytes / 1'000'000),
                         "", "chats_full");
    }
    if (!room(rows_.size().bytes, options_.total_bytes)) {
      throw Error(ErrorKind::kNoMemory, "the server keeps as many chats as it may");
    }
    const int64_t now = rows_.Write(row, MicrosecondsNow(), kDropNothing);
    call.reply->Send(200, Dump(OrderedJson{{"id", row.id},
                                           {"object", "chat"},
                                           {"revision", now},
                                           {"updated", now / 1'000'000},
                                           {"bytes", bytes}}));
  }

  void Delete(const RouteCall& call, const std::string& id) {
    if (!rows_.Erase(call.request.owner, id)) throw NoChat(id);
    call.reply->Send(200, Dump(OrderedJson{{"id", id}, {"object", "chat"}, {"deleted", true}}));
  }

  const ChatStoreOptions& options() const { return options_; }

 private:
  void Work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
      lock.lock();
    }
  }

  const ChatStoreOptions options_;
  ResponseRows rows_;
  std::mutex mutex_;  // of the next three
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  bool stopping_ = false;
  std::thread thread_;  // last, since it uses all others
};

ChatStore::ChatStore(const ChatStoreOptions& options) : impl_(std::make_unique<Impl>(options)) {}
ChatStore::~ChatStore() = default;

void AddChatStoreRoutes(Router& router, std::shared_ptr<ChatStore> store) {
  router.Add("GET", "/v1/chats", [store](const RouteCall& call) {
    store->impl_->Post(call, [&impl = *store->impl_](const RouteCall& c) { impl.List(c); });
  });
  router.Add("GET", "/v1/chats/{chat_id}", [store](const RouteCall& call) {
    store->impl_->Post(call, [&impl = *store->impl_, id = ChatIdOf(call)](const RouteCall& c) {
      impl.Get(c, id);
    });
  });
  router.Add("PUT", "/v1/chats/{chat_id}", [store](const RouteCall& call) {
    const size_t most = store->impl_->options().chat_bytes;
    const Json body = ParseBody(call.request.body, {.bytes = most});
    const Fields fields(body);
    std::string title = fields.String("title").value_or("");
    if (title.size() > kMaxTitleBytes) {
      throw RequestError(400, fmt::format("title is longer than {} bytes", kMaxTitleBytes), "title",
                         "invalid_value");
    }
    const int64_t revision =
        fields.Integer("revision", 0, std::numeric_limits<int64_t>::max()).value_or(0);
    const auto chat = fields.Object("chat");
    if (!chat) throw RequestError(400, "chat is missing, expected an object", "chat", "missing");
    ResponseRow row{.owner = call.request.owner,
                    .id = ChatIdOf(call),
                    .parent = {},
                    .conversation = {},
                    .input = Dump(Json{{"title", std::move(title)}}),
                    .response = Dump(chat->json())};
    RouteCall slim = call;
    slim.request.body.clear();
    store->impl_->Post(slim, [&impl = *store->impl_, row = std::move(row),
                              revision](const RouteCall& c) { impl.Put(c, row, revision); });
  });
  router.Add("DELETE", "/v1/chats/{chat_id}", [store](const RouteCall& call) {
    store->impl_->Post(call, [&impl = *store->impl_, id = ChatIdOf(call)](const RouteCall& c) {
      impl.Delete(c, id);
    });
  });
}

}  // namespace linnet
