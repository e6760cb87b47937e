// RequestReader: bytes in, requests out. The parser of HTTP/1.x, bounded and without a socket.
#ifndef LINNET_HTTP_REQUEST_READER_H_
#define LINNET_HTTP_REQUEST_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/http.h"

namespace linnet {

// The request line and headers as they were sent, but for names of headers in lower case.
struct RequestHead {
  std::string method, target;
  HttpHeaders headers;
  bool http_10 = false;
  bool keep_alive = false;
  bool has_body = false;
  bool expects_continue = false;
  std::optional<uint64_t> content_length;

  // The first header of that name, or "".
  std::string_view Header(std::string_view name) const;
  size_t Count(std::string_view name) const;
};

// Why a request is refused.
struct Refusal {
  int status = 0;
  std::string message;  // lower case, no full stop
  std::string code;     // of the error's JSON; may be empty
};

// One connection's stream of requests. Not thread-safe. Keeps at most the head, the body and what
// was appended but not yet parsed; the body grows with what arrives, never with what is announced.
class RequestReader {
 public:
  explicit RequestReader(const HttpLimits& limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  enum class Event {
    kMore,  // bytes are missing: Append, then Next
    kHead,  // the head is there, once a request
    kDone,  // and the body: TakeBody, then Reset for the next request
    kBad,   // the stream cannot be read on: refusal()
  };
  void Append(std::string_view bytes);
  Event Next();
  // For the next request; what was appended beyond the last one stays.
  void Reset();

  RequestHead& head();
  std::string TakeBody();
  size_t body_bytes() const;
  // Appended and not yet parsed.
  size_t buffered() const;
  // Nothing of a request has arrived.
  bool idle() const;
  // The body is complete too.
  bool done() const;
  const Refusal& refusal() const;

 private:
  class HeadAndBody;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_REQUEST_READER_H_
