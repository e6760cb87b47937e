// ReplyBuffer: a reply between the threads that write it and the connection that sends it.
#ifndef LINNET_HTTP_REPLY_BUFFER_H_
#define LINNET_HTTP_REPLY_BUFFER_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "http/api_keys.h"
#include "http/http.h"
#include "http/server_context.h"

namespace linnet {

class ReplyBuffer : public HttpReply {
 public:
  struct Form {
    bool head_only = false;  // the request was HEAD
    bool http_10 = false;
    bool keep_alive = false;  // unless the server stops meanwhile
    std::string request_id, cors;
  };
  // `wake` is called, by any thread, when there is something new to Take.
  ReplyBuffer(std::shared_ptr<ServerContext> context, Form form, std::shared_ptr<const ApiKey> key,
              std::function<void()> wake);

  // What a handler gets: the last copy that goes calls Abandon.
  static std::shared_ptr<HttpReply> HandleOf(std::shared_ptr<ReplyBuffer> buffer);

  void Send(int status, std::string body, std::string_view content_type,
            HttpHeaders headers) override;
  void BeginStream(int status, std::string_view content_type, HttpHeaders headers) override;
  void Write(std::string chunk) override;
  void End() override;
  bool gone() const override;
  void OnGone(std::function<void()> call) override;
  void CountTokens(size_t tokens) override;
  // Answers with 500 what was not begun, and breaks off what was not ended.
  void Abandon();

  // The connection's side.
  struct News {
    bool ended = false;       // what was taken is the last
    bool broken_off = false;  // without the end that it should have
    bool too_slow = false;    // the client is too far behind
    bool keep_alive = false;  // as the head says
    bool events = false;      // a stream that may have pings
    int status = 0;           // 0: not begun
  };
  // What is new, and, with `bytes`, what is to be sent next.
  News Take(std::string* bytes);
  bool ended() const;
  // For `: ping`.
  std::string Ping() const;
  // No more will be sent. Calls what OnGone was given, if there was no end.
  void MarkGone();

 private:
  enum class Stage { kNew, kStream, kEnded };
  void Begin(int status, std::string_view content_type, std::optional<size_t> length,
             const HttpHeaders& headers);
  void Finish();
  bool Notify();  // with the lock held: whether to wake afterwards

  const std::shared_ptr<ServerContext> context_;
  const Form form_;
  const std::shared_ptr<const ApiKey> key_;  // may be null
  const std::function<void()> wake_;

  mutable std::mutex mutex_;
  Stage stage_ = Stage::kNew;
  News news_;
  bool gone_ = false, woken_ = false;
  bool counted_ = false;  // among the streams
  std::string pending_;
  std::function<void()> on_gone_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_REPLY_BUFFER_H_
