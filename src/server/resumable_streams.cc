#include "server/resumable_streams.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/request_state.h"

namespace linnet {
namespace {

using StreamClock = std::chrono::steady_clock;

}  // namespace

// One answer, with what was said of it.
class KeptReply : public HttpReply, public std::enable_shared_from_this<KeptReply> {
 public:
  KeptReply(std::shared_ptr<HttpReply> first, size_t most_bytes,
            std::function<StreamClock::time_point()> clock)
      : first_(first),
        client_(std::move(first)),
        most_bytes_(most_bytes),
        clock_(std::move(clock)) {}

  // Watches the first client.
  void Begin() { Watch(first_); }

  void Send(int status, std::string body, std::string_view type, HttpHeaders headers) override {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    head_ = {status, std::string(type), headers, false};
    body_ = body;
    ended_ = true;
    since_ = clock_();
    if (client_) client_->Send(status, std::move(body), type, std::move(headers));
    client_ = nullptr;
  }

  void BeginStream(int status, std::string_view type, HttpHeaders headers) override {
    const std::lock_guard lock(mutex_);
    if (ended_ || head_) return;
    head_ = {status, std::string(type), headers, true};
    if (client_) client_->BeginStream(status, type, std::move(headers));
  }

  void Write(std::string chunk) override {
    const std::lock_guard lock(mutex_);
    if (ended_ || !head_) return;
    // Lines of JSON have no place for a number: they are counted.
    if (head_->type == "text/event-stream") {
      chunk = fmt::format("id: {}\n{}", lost_ + events_.size(), chunk);
    }
    if (client_) client_->Write(chunk);
    bytes_ += chunk.size();
    events_.push_back(std::move(chunk));
    while (bytes_ > most_bytes_ && events_.size() > 1) {
      bytes_ -= events_.front().size();
      events_.pop_front();
      ++lost_;
    }
  }

  void End() override {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    ended_ = true;
    since_ = clock_();
    if (client_) client_->End();
    client_ = nullptr;
  }

  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return gone_;
  }

  void OnGone(std::function<void()> call) override {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) return;
      if (!gone_) {
        on_gone_ = std::move(call);
        return;
      }
    }
    call();
  }

  void CountTokens(size_t tokens) override { first_->CountTokens(tokens); }

  // Sends what comes after event `after` to this client instead of the one before.
  void Attach(const std::shared_ptr<HttpReply>& client, int64_t after) {
    {
      const std::lock_guard lock(mutex_);
      const auto next = static_cast<size_t>(after + 1);
      if (!head_ && !ended_) {  // nothing has been said yet
        Replace(client);
      } else if (!head_->streamed) {
        client->Send(head_->status, body_, head_->type, head_->headers);
        return;
      } else {
        if (next < lost_) {
          throw RequestError(410,
                             fmt::format("the events up to {} are not kept any more", lost_ - 1),
                             "last-event-id", "events_lost");
        }
        if (next > lost_ + events_.size()) {
          throw RequestError(400,
                             fmt::format("the last event so far is {}",
                                         static_cast<int64_t>(lost_ + events_.size()) - 1),
                             "last-event-id", "invalid_value");
        }
        client->BeginStream(head_->status, head_->type, head_->headers);
        std::string rest;
        for (size_t i = next - lost_; i < events_.size(); ++i) rest += events_[i];
        if (!rest.empty()) client->Write(std::move(rest));
        if (ended_) {
          client->End();
          return;
        }
        Replace(client);
      }
    }
    Watch(client);
  }

  // As if the client had left for good.
  void GiveUp() {
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex_);
      if (ended_ || gone_) return;
      gone_ = true;
      call = std::move(on_gone_);
      if (client_ && head_) client_->End();
      client_ = nullptr;
    }
    if (call) call();
  }

  bool running() const {
    const std::lock_guard lock(mutex_);
    return !ended_ && !gone_;
  }
  // Since when it waits: for a client, or to be forgotten; nullopt while a client listens.
  std::optional<StreamClock::time_point> waits_since() const {
    const std::lock_guard lock(mutex_);
    if (client_) return std::nullopt;
    return since_;
  }

 private:
  struct Head {
    int status;
    std::string type;
    HttpHeaders headers;
    bool streamed;
  };

  void Replace(const std::shared_ptr<HttpReply>& client) {
    if (client_ && head_) client_->End();
    client_ = client;
  }

  // Without the lock: it may call at once.
  void Watch(const std::shared_ptr<HttpReply>& client) {
    client->OnGone([weak = weak_from_this(), left = client.get()] {
      const auto self = weak.lock();
      if (!self) return;
      const std::lock_guard lock(self->mutex_);
      if (self->client_.get() != left) return;
      self->client_ = nullptr;
      self->since_ = self->clock_();
    });
  }

  const std::shared_ptr<HttpReply> first_;  // whose key is charged
  mutable std::mutex mutex_;                // of the following
  std::shared_ptr<HttpReply> client_;       // null: nobody listens
  std::optional<Head> head_;
  std::string body_;  // of Send
  std::deque<std::string> events_;
  size_t lost_ = 0, bytes_ = 0;
  bool ended_ = false, gone_ = false;
  StreamClock::time_point since_{};
  std::function<void()> on_gone_;
  const size_t most_bytes_;
  const std::function<StreamClock::time_point()> clock_;
};

namespace {

int64_t LastEvent(const HttpRequest& request) {
  std::string text(request.Header("last-event-id"));
  if (text.empty()) text = request.QueryValue("after").value_or("-1");
  int64_t number = -1;
  const char* end = text.data() + text.size();
  const auto [parsed, failed] = std::from_chars(text.data(), end, number);
  if (failed != std::errc() || parsed != end || number < -1 || number >= INT64_MAX - 1) {
    throw RequestError(400, "last-event-id is no number of an event", "last-event-id",
                       "invalid_value");
  }
  return number;
}

}  // namespace

class ResumableStreams::Impl {
 public:
  using Key = std::pair<std::string, std::string>;  // owner, id

  explicit Impl(ResumableOptions options) : options_(std::move(options)) {
    if (!options_.clock) options_.clock = StreamClock::now;
  }

  void Start(const std::shared_ptr<Impl>& /*self*/) {
    thread_ = std::thread([this] { Run(); });
  }
  void Stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  std::shared_ptr<HttpReply> Add(const Key& key, std::shared_ptr<HttpReply> reply) {
    Expire();
    const auto kept =
        std::make_shared<KeptReply>(std::move(reply), options_.stream_bytes, options_.clock);
    {
      const std::lock_guard lock(mutex_);
      const auto found = streams_.find(key);
      if (found != streams_.end() && found->second->running()) {
        throw RequestError(409,
                           fmt::format("an answer with the stream id '{}' is running", key.second),
                           "x-stream-id", "stream_running");
      }
      const auto own = static_cast<size_t>(
          std::count_if(streams_.begin(), streams_.end(),
                        [&](const auto& entry) { return entry.first.first == key.first; }));
      if (own >= options_.owner_streams || streams_.size() >= options_.streams) {
        MakeRoom(own >= options_.owner_streams ? &key.first : nullptr);
      }
      streams_[key] = kept;
    }
    kept->Begin();
    wake_.notify_all();
    return kept;
  }

  std::shared_ptr<KeptReply> Find(const Key& key) {
    Expire();
    const std::lock_guard lock(mutex_);
    const auto found = streams_.find(key);
    if (found != streams_.end()) return found->second;
    throw RequestError(404, fmt::format("no stream '{}' is kept", key.second), "stream_id",
                       "stream_not_found");
  }

  void Forget(const Key& key) {
    const std::lock_guard lock(mutex_);
    streams_.erase(key);
  }

  void Expire() {
    std::vector<std::shared_ptr<KeptReply>> over;
    {
      const std::lock_guard lock(mutex_);
      const auto now = options_.clock();
      for (auto at = streams_.begin(); at != streams_.end();) {
        const auto since = at->second->waits_since();
        const bool running = at->second->running();
        const auto patience = running ? options_.unattended : options_.kept;
        if (!since || now < *since + patience) {
          ++at;
          continue;
        }
        if (running) over.push_back(at->second);
        at = streams_.erase(at);
      }
    }
    for (const auto& stream : over) stream->GiveUp();
  }

 private:
  // Of those that have ended, the one that did first; of one owner or all.
  void MakeRoom(const std::string* owner) {
    auto oldest = streams_.end();
    StreamClock::time_point first{};
    for (auto at = streams_.begin(); at != streams_.end(); ++at) {
      if (at->second->running() || (owner != nullptr && at->first.first != *owner)) continue;
      const auto since = at->second->waits_since().value_or(StreamClock::time_point::max());
      if (oldest == streams_.end() || since < first) {
        oldest = at;
        first = since;
      }
    }
    if (oldest == streams_.end()) {
      throw RequestError(429, "too many resumable answers are running", "x-stream-id",
                         "too_many_streams");
    }
    streams_.erase(oldest);
  }

  // Looks often enough; sleeps while there is nothing.
  void Run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
      if (streams_.empty()) {
        wake_.wait(lock, [this] { return stopping_ || !streams_.empty(); });
      } else {
        wake_.wait_for(lock, options_.unattended / 4, [this] { return stopping_; });
      }
      if (stopping_) return;
      lock.unlock();
      Expire();
      lock.lock();
    }
  }

  ResumableOptions options_;
  std::mutex mutex_;  // of the following
  std::condition_variable wake_;
  std::map<Key, std::shared_ptr<KeptReply>> streams_;
  bool stopping_ = false;
  std::thread thread_;
};

ResumableStreams::ResumableStreams(const ResumableOptions& options)
    : impl_(std::make_shared<Impl>(options)) {
  impl_->Start(impl_);
}
ResumableStreams::~ResumableStreams() { impl_->Stop(); }

void ResumableStreams::Expire() { impl_->Expire(); }

std::shared_ptr<HttpReply> ResumableStreams::Wrap(const HttpRequest& request,
                                                  std::shared_ptr<HttpReply> reply) {
  if (request.method != "POST") return reply;
  std::string id(request.Header("x-stream-id"));
  if (id.empty()) id = request.Header("x-conversation-id");
  if (id.empty()) return reply;
  CheckStateId(id, "x-stream-id");
  return impl_->Add({request.owner, id}, std::move(reply));
}

void AddStreamRoutes(Router& router, std::shared_ptr<ResumableStreams> streams) {
  router.Add("GET", "/v1/streams/{stream_id}", [streams](const RouteCall& call) {
    const int64_t after = LastEvent(call.request);
    streams->impl_->Find({call.request.owner, call["stream_id"]})->Attach(call.reply, after);
  });
  router.Add("DELETE", "/v1/streams/{stream_id}", [streams](const RouteCall& call) {
    const std::pair key{call.request.owner, call["stream_id"]};
    const auto stream = streams->impl_->Find(key);
    stream->GiveUp();
    streams->impl_->Forget(key);
    call.reply->Send(
        200, Dump(OrderedJson{{"id", key.second}, {"object", "stream"}, {"deleted", true}}));
  });
}

}  // namespace linnet
