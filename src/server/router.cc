#include "server/router.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "server/error_forms.h"
#include "server/openai_errors.h"
#include "server/served_model.h"

namespace linnet {
namespace {

std::vector<std::string> PartsOf(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const size_t end = std::min(path.find('/'), path.size());
    parts.emplace_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

bool IsName(std::string_view part) { return part.starts_with('{') && part.ends_with('}'); }

bool Matches(const std::vector<std::string>& pattern, const std::vector<std::string>& path,
             RouteCall& call) {
  if (pattern.size() != path.size()) return false;
  call.path.clear();
  for (size_t i = 0; i < path.size(); ++i) {
    if (!IsName(pattern[i])) {
      if (pattern[i] != path[i]) return false;
      continue;
    }
    if (path[i].empty()) return false;
    call.path[pattern[i].substr(1, pattern[i].size() - 2)] = path[i];
  }
  return true;
}

// A model that was loaded may be gone again when the handler asks for it.
constexpr int kMostLoads = 3;

// Again when a model that the handler wants was loaded.
void CallHandler(const RouteHandler& handler, const RouteCall& call, int loads) {
  try {
    handler(call);
  } catch (const ModelLoading& loading) {
    if (loads == 0) throw;
    loading.Wait([handler, call, loads](const std::exception* failure) {
      if (call.reply->gone()) return;
      try {
        if (failure != nullptr) return SendErrorTo(call.request, *call.reply, *failure);
        CallHandler(handler, call, loads - 1);
      } catch (const std::exception& error) {
        SendErrorTo(call.request, *call.reply, error);
      }
    });
  }
}

}  // namespace

const std::string& RouteCall::operator[](std::string_view name) const {
  static const std::string kNone;
  const auto found = path.find(name);
  return found == path.end() ? kNone : found->second;
}

void Router::Add(std::string_view method, std::string_view pattern, RouteHandler handler) {
  entries_.push_back({.route = {std::string(method), std::string(pattern)},
                      .parts = PartsOf(pattern),
                      .handler = std::move(handler)});
}

std::vector<Router::Route> Router::routes() const {
  std::vector<Route> routes;
  routes.reserve(entries_.size());
  for (const Entry& entry : entries_) routes.push_back(entry.route);
  return routes;
}

void Router::Handle(HttpRequest request, std::shared_ptr<HttpReply> reply) const {
  RouteCall call{std::move(request), std::move(reply), {}};
  std::vector<std::string> path = PartsOf(call.request.path);
  if (path.size() > 1 && path.back().empty()) path.pop_back();  // a slash at the end
  // A pattern without names goes before one that its path also matches.
  const bool exact = std::any_of(entries_.begin(), entries_.end(),
                                 [&](const Entry& entry) { return entry.parts == path; });
  std::string allowed;
  try {
    for (const Entry& entry : entries_) {
      if (exact && entry.parts != path) continue;
      if (!Matches(entry.parts, path, call)) continue;
      if (entry.route.method == call.request.method) {
        if (wrap_) call.reply = wrap_(call.request, call.reply);
        CallHandler(entry.handler, call, kMostLoads);
        return;
      }
      if (!allowed.empty()) allowed += ", ";
      allowed += entry.route.method;
    }
  } catch (const std::exception& error) {
    SendErrorTo(call.request, *call.reply, error);
    return;
  }
  const std::string what = call.request.method + " " + call.request.path;
  if (allowed.empty()) {
    SendErrorTo(call.request, *call.reply,
                RequestError(404, "no route " + what, "", "unknown_url"));
  } else {
    SendErrorTo(
        call.request, *call.reply,
        RequestError(405, "no route " + what + "; allowed: " + allowed, "", "method_not_allowed"),
        {{"allow", allowed}});
  }
}

void SendError(HttpReply& reply, const std::exception& error) {
  ErrorAnswer answer = AnswerOf(error);
  HttpHeaders headers;
  if (answer.retry_after > 0) {
    headers.emplace_back("retry-after", std::to_string(answer.retry_after));
  }
  reply.Send(answer.status, std::move(answer.body), "application/json", std::move(headers));
}

}  // namespace linnet
