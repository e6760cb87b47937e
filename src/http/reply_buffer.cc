#include "http/reply_buffer.h"

#include <utility>

#include "http/reply_head.h"

namespace linnet {

ReplyBuffer::ReplyBuffer(std::shared_ptr<ServerContext> context, Form form,
                         std::shared_ptr<const ApiKey> key, std::function<void()> wake)
    : context_(std::move(context)),
      form_(std::move(form)),
      key_(std::move(key)),
      wake_(std::move(wake)) {}

std::shared_ptr<HttpReply> ReplyBuffer::HandleOf(std::shared_ptr<ReplyBuffer> buffer) {
  HttpReply* const reply = buffer.get();
  return {reply, [buffer = std::move(buffer)](HttpReply*) { buffer->Abandon(); }};
}

bool ReplyBuffer::Notify() { return !std::exchange(woken_, true); }

void ReplyBuffer::Begin(int status, std::string_view content_type, std::optional<size_t> length,
                        const HttpHeaders& headers) {
  if (status < 200 || status > 599) status = 500;
  news_.status = status;
  // A stream of HTTP/1.0 ends with its connection.
  news_.keep_alive = form_.keep_alive && (length || !form_.http_10) && !context_->stopping.load();
  pending_ += FormatHead({status, content_type, length, news_.keep_alive, form_.http_10,
                          form_.request_id, form_.cors, &headers});
}

void ReplyBuffer::Finish() {
  stage_ = Stage::kEnded;
  news_.ended = true;
  if (std::exchange(counted_, false)) --context_->counters.streams;
  on_gone_ = nullptr;
}

void ReplyBuffer::Send(int status, std::string body, std::string_view content_type,
                       HttpHeaders headers) {
  std::function<void()> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || stage_ != Stage::kNew) return;
    Begin(status, content_type, body.size(), headers);
    if (!form_.head_only && HasBody(status)) pending_ += body;
    dropped = std::move(on_gone_);
    Finish();
    if (!Notify()) return;
  }
  wake_();
}

void ReplyBuffer::BeginStream(int status, std::string_view content_type, HttpHeaders headers) {
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || stage_ != Stage::kNew) return;
    Begin(status, content_type, std::nullopt, headers);
    stage_ = Stage::kStream;
    news_.events = content_type.starts_with("text/event-stream") && !form_.head_only;
    counted_ = true;
    ++context_->counters.streams;
    if (!Notify()) return;
  }
  wake_();
}

void ReplyBuffer::Write(std::string chunk) {
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || stage_ != Stage::kStream || news_.too_slow || form_.head_only) return;
    if (pending_.size() > context_->options.limits.unsent_bytes) {
      news_.too_slow = true;
    } else if (form_.http_10) {
      pending_ += chunk;
    } else {
      AppendChunk(pending_, chunk);
    }
    if (!Notify()) return;
  }
  wake_();
}

void ReplyBuffer::End() {
  std::function<void()> dropped;
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || stage_ != Stage::kStream) return;
    if (!form_.http_10 && !form_.head_only) pending_ += "0\r\n\r\n";
    dropped = std::move(on_gone_);
    Finish();
    if (!Notify()) return;
  }
  wake_();
}

void ReplyBuffer::Abandon() {
  {
    const std::lock_guard lock(mutex_);
    if (gone_ || stage_ == Stage::kEnded) return;
    if (stage_ == Stage::kNew) {
      const std::string body =
          HttpErrorBody("the request was dropped without an answer", "server_error", "");
      Begin(500, "application/json", body.size(), {});
      if (!form_.head_only) pending_ += body;
    } else {
      news_.broken_off = true;
      news_.keep_alive = false;
    }
    Finish();
    if (!Notify()) return;
  }
  wake_();
}

bool ReplyBuffer::gone() const {
  const std::lock_guard lock(mutex_);
  return gone_;
}

bool ReplyBuffer::ended() const {
  const std::lock_guard lock(mutex_);
  return stage_ == Stage::kEnded;
}

void ReplyBuffer::OnGone(std::function<void()> call) {
  {
    const std::lock_guard lock(mutex_);
    if (stage_ == Stage::kEnded) return;
    if (!gone_) {
      std::swap(on_gone_, call);
      return;  // the earlier one is destroyed without the lock
    }
  }
  if (call) call();
}

void ReplyBuffer::CountTokens(size_t tokens) {
  if (key_ != nullptr) context_->rates.CountTokens(*key_, tokens);
}

ReplyBuffer::News ReplyBuffer::Take(std::string* bytes) {
  const std::lock_guard lock(mutex_);
  woken_ = false;
  if (bytes != nullptr) *bytes = std::exchange(pending_, {});
  News news = news_;
  news.ended = news.ended && pending_.empty();
  return news;
}

std::string ReplyBuffer::Ping() const {
  std::string ping;
  if (form_.http_10) return ": ping\n\n";
  AppendChunk(ping, ": ping\n\n");
  return ping;
}

void ReplyBuffer::MarkGone() {
  std::function<void()> call;
  {
    const std::lock_guard lock(mutex_);
    if (std::exchange(gone_, true)) return;
    pending_ = {};
    call = std::exchange(on_gone_, nullptr);
    if (stage_ == Stage::kEnded) return;
    if (std::exchange(counted_, false)) --context_->counters.streams;
  }
  if (call) call();
}

}  // namespace linnet
