// Router: finds the handler of a request by method and path, and answers errors.
#ifndef LINNET_SERVER_ROUTER_H_
#define LINNET_SERVER_ROUTER_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/http.h"

namespace linnet {

// A request for one route, with the values of its `{name}` parts.
struct RouteCall {
  HttpRequest request;
  std::shared_ptr<HttpReply> reply;
  std::map<std::string, std::string, std::less<>> path;

  // The value of a part of the pattern, decoded from %XX; empty if there is no such part.
  const std::string& operator[](std::string_view name) const;
};
using RouteHandler = std::function<void(const RouteCall&)>;

// Add all routes first; Handle is then thread-safe.
class Router {
 public:
  // `pattern` is a path such as `/v1/responses/{id}/cancel`; a part in braces stands for one
  // non-empty part of the path, unless another pattern is that path. GET also answers HEAD.
  void Add(std::string_view method, std::string_view pattern, RouteHandler handler);

  // What handlers get in place of the reply to this request. It may throw, which is the answer.
  using Wrap = std::function<std::shared_ptr<HttpReply>(const HttpRequest& request,
                                                        std::shared_ptr<HttpReply> reply)>;
  void WrapReplies(Wrap wrap) { wrap_ = std::move(wrap); }

  // Calls the handler; once more if it throws ModelLoading, when that model was loaded. Answers 404
  // for an unknown path, 405 with Allow for an unknown method, and what AnswerOf says if the
  // handler throws; an answer that has begun is then ended. Errors have the form of the path
  // (server/error_forms.h).
  void Handle(HttpRequest request, std::shared_ptr<HttpReply> reply) const;

  struct Route {
    std::string method, pattern;
  };
  std::vector<Route> routes() const;  // in the order of Add

 private:
  struct Entry {
    Route route;
    std::vector<std::string> parts;
    RouteHandler handler;
  };
  std::vector<Entry> entries_;
  Wrap wrap_;
};

// Sends AnswerOf(error) in OpenAI's form, with Retry-After if it has one.
void SendError(HttpReply& reply, const std::exception& error);

}  // namespace linnet

#endif  // LINNET_SERVER_ROUTER_H_
