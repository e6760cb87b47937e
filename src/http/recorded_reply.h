// RecordedReply: an HttpReply for tests of handlers, without a socket.
#ifndef LINNET_HTTP_RECORDED_REPLY_H_
#define LINNET_HTTP_RECORDED_REPLY_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http.h"

namespace linnet::test {

// Keeps what a handler answers. Thread-safe; read the fields after WaitForEnd.
class RecordedReply : public HttpReply {
 public:
  void Send(int code, std::string text, std::string_view type, HttpHeaders more) override {
    const std::lock_guard lock(mutex_);
    if (gone_ || ended) return;
    Begin(code, type, std::move(more));
    body = std::move(text);
    End(lock);
  }
  void BeginStream(int code, std::string_view type, HttpHeaders more) override {
    const std::lock_guard lock(mutex_);
    if (gone_ || ended) return;
    Begin(code, type, std::move(more));
    streamed = true;
  }
  void Write(std::string chunk) override {
    const std::lock_guard lock(mutex_);
    if (gone_ || ended) return;
    body += chunk;
    chunks.push_back(std::move(chunk));
    changed_.notify_all();
  }
  void End() override {
    const std::lock_guard lock(mutex_);
    if (!gone_) End(lock);
  }
  bool gone() const override {
    const std::lock_guard lock(mutex_);
    return gone_;
  }
  void OnGone(std::function<void()> call) override {
    {
      const std::lock_guard lock(mutex_);
      if (ended) return;
      if (!gone_) {
        on_gone_ = std::move(call);
        return;
      }
    }
    call();
  }
  void CountTokens(size_t count) override {
    const std::lock_guard lock(mutex_);
    tokens += count;
  }

  // As if the client left.
  void Leave() {
    std::function<void()> call;
    {
      const std::lock_guard lock(mutex_);
      if (gone_ || ended) return;
      gone_ = true;
      call = std::move(on_gone_);
      changed_.notify_all();
    }
    if (call) call();
  }
  // Returns when the reply has ended or the client left; false if neither comes.
  bool WaitForEnd() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(9), [&] { return ended || gone_; });
  }
  // The same for the number of chunks written so far.
  bool WaitForChunks(size_t count) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(9),
                             [&] { return chunks.size() >= count || ended || gone_; });
  }

  int status = 0;  // 0: no answer yet
  std::string content_type;
  HttpHeaders headers;
  std::string body;  // of Send, or all chunks
  std::vector<std::string> chunks;
  bool streamed = false;
  bool ended = false;
  size_t tokens = 0;

 private:
  void Begin(int code, std::string_view type, HttpHeaders more) {
    status = code;
    content_type = type;
    headers = std::move(more);
  }
  void End(const std::lock_guard<std::mutex>& /*held*/) {
    ended = true;
    on_gone_ = nullptr;
    changed_.notify_all();
  }

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> on_gone_;
  bool gone_ = false;
};

}  // namespace linnet::test

#endif  // LINNET_HTTP_RECORDED_REPLY_H_
