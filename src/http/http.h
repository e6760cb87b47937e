// Provisional: see the branch of the transport.
#ifndef LINNET_HTTP_HTTP_H_
#define LINNET_HTTP_HTTP_H_

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet {

struct HttpRequest {
  std::string method, path, query, body, id, peer, owner, traceparent;
  std::vector<std::pair<std::string, std::string>> headers;
  bool admin = false;
  std::string_view Header(std::string_view name) const;
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

class HttpReply {
 public:
  virtual ~HttpReply() = default;
  virtual void Send(int status, std::string body,
                    std::string_view content_type = "application/json",
                    const HttpHeaders& headers = {}) = 0;
  virtual void BeginStream(int status, std::string_view content_type) = 0;
  virtual void Write(std::string chunk) = 0;
  virtual void End() = 0;
  virtual bool gone() const = 0;
  virtual void OnGone(std::function<void()> callback) = 0;
};

using HttpHandler = std::function<void(HttpRequest, std::shared_ptr<HttpReply>)>;

}  // namespace linnet

#endif  // LINNET_HTTP_HTTP_H_
