// The requests of a Connection: what is done with what was read.
#include <exception>
#include <utility>

#include "base/is_utf8.h"
#include "base/lower.h"
#include "http/connection.h"
#include "http/reply_head.h"

namespace linnet {

void Connection::Parse() {
  while (phase_ == Phase::kHead || phase_ == Phase::kBody) {
    switch (reader_.Next()) {
      case RequestReader::Event::kMore:
        CountBody();
        return;
      case RequestReader::Event::kHead:
        OnHead();
        break;
      case RequestReader::Event::kDone:
        OnRequest();
        break;
      case RequestReader::Event::kBad:
        Refuse(reader_.refusal());
        break;
    }
  }
}

void Connection::CountBody() {
  const size_t bytes = reader_.body_bytes();
  const size_t all = context_->body_bytes += bytes - counted_body_;
  const bool grew = bytes > counted_body_;
  counted_body_ = bytes;
  if (phase_ == Phase::kBody && grew && all > context_->options.limits.all_bodies_bytes) {
    Refuse({503, "too many large requests at the same time", "overloaded"}, {{"Retry-After", "1"}});
  }
}

std::shared_ptr<const ApiKey> Connection::FindKey(
    const std::shared_ptr<const ServerSecrets>& secrets, const RequestHead& head) {
  std::string_view key = head.Header("authorization");
  if (key.size() > 7 && Lower(std::string(key.substr(0, 7))) == "bearer ") {
    key.remove_prefix(7);
    while (key.starts_with(' ')) key.remove_prefix(1);
  } else {
    key = head.Header("x-api-key");
  }
  const ApiKey* const found = key.empty() ? nullptr : secrets->keys.Find(key);
  return found == nullptr ? nullptr : std::shared_ptr<const ApiKey>(secrets, found);
}

void Connection::OnHead() {
  const RequestHead& head = reader_.head();
  ++context_->counters.requests;
  first_request_ = false;
  head_begun_ = true;
  head_checked_ = true;
  method_ = head.method;
  path_ = head.target.substr(0, head.target.find('?'));
  const std::string_view id = head.Header("x-request-id");
  request_.id = IsSaneId(id) ? std::string(id) : NewRequestId();
  const std::string_view trace = head.Header("traceparent");
  if (head.Count("traceparent") == 1 && IsTraceparent(trace)) request_.traceparent = trace;

  if (context_->stopping.load()) {
    return Refuse({503, "the server is stopping", "stopping"}, {{"Retry-After", "1"}});
  }
  if (const auto refusal = context_->rules.Check(head, unix_socket_)) return Refuse(*refusal);
  if (context_->rules.IsPreflight(head)) {
    request_.received = now_;
    ++context_->counters.running;
    BeginReply(head.keep_alive && reader_.done());
    reply_->Send(204, "", "", context_->rules.PreflightHeaders(head));
    return;
  }
  auto target = ParseTarget(head.target);
  if (!target) {
    return Refuse({400, "the request's path is badly encoded", ""});
  }
  request_.path = std::move(target->path);
  request_.query = std::move(target->query);
  const auto secrets = context_->secrets();
  if (!secrets->keys.empty() && !context_->rules.IsOpenPath(request_.path)) {
    key_ = FindKey(secrets, head);
    if (key_ == nullptr) {
      const bool given = head.Count("authorization") + head.Count("x-api-key") > 0;
      return Refuse({401,
                     given ? "this API key is not known here"
                           : "this server wants an API key: Authorization: Bearer KEY",
                     "invalid_api_key"},
                    {{"WWW-Authenticate", "Bearer"}});
    }
    request_.owner = key_->name;
    request_.admin = key_->admin;
    if (const auto refused = context_->rates.Begin(*key_)) {
      return RefuseAs({429, refused->message, "rate_limit_exceeded"}, refused->type,
                      {{"Retry-After", std::to_string(refused->retry_after.count())}});
    }
    rated_ = true;
  }
  if (head.content_length.value_or(0) + context_->body_bytes.load() >
      context_->options.limits.all_bodies_bytes) {
    return Refuse({503, "too many large requests at the same time", "overloaded"},
                  {{"Retry-After", "1"}});
  }
  phase_ = Phase::kBody;
  since_ = now_;
  if (head.expects_continue) {
    out_ += "HTTP/1.1 100 Continue\r\n\r\n";
    progress_ = now_;
  }
}

void Connection::OnRequest() {
  RequestHead& head = reader_.head();
  request_.body = reader_.TakeBody();
  context_->body_bytes -= std::exchange(counted_body_, 0);
  request_.received = now_;
  if (!request_.body.empty() && IsTextType(head.Header("content-type")) && !IsUtf8(request_.body)) {
    return Refuse({400, "the body is not UTF-8", "invalid_utf8"});
  }
  BeginReply(head.keep_alive);
  request_.method = head.method == "HEAD" ? "GET" : head.method;
  request_.headers = std::move(head.headers);
  request_.peer = peer_.name;
  const std::string id = request_.id, owner = request_.owner, trace = request_.traceparent;
  HttpRequest given = std::exchange(request_, {});
  // What the log says at the end.
  request_.id = id;
  request_.owner = owner;
  request_.traceparent = trace;
  request_.received = given.received;
  ++context_->counters.running;
  const auto reply = ReplyBuffer::HandleOf(reply_);
  try {
    context_->handler(std::move(given), reply);
  } catch (const std::exception& failure) {
    context_->log.WriteError(id, failure.what());
    reply->Send(500, HttpErrorBody("internal error, see the server's log", "server_error", ""));
  }
}

void Connection::BeginReply(bool keep_alive) {
  const RequestHead& head = reader_.head();
  ReplyBuffer::Form form;
  form.head_only = head.method == "HEAD";
  form.http_10 = head.http_10;
  form.keep_alive = keep_alive;
  form.request_id = request_.id;
  form.cors = context_->rules.CorsHeaders(head);
  phase_ = Phase::kReply;
  news_ = {};
  reply_ = std::make_shared<ReplyBuffer>(context_, std::move(form), key_,
                                         [loop = home_.loop, connection = weak_from_this()] {
                                           loop->Post([connection] {
                                             if (const auto self = connection.lock()) self->Pump();
                                           });
                                         });
}

void Connection::Refuse(const Refusal& refusal, HttpHeaders headers) {
  RefuseAs(refusal, ErrorTypeOf(refusal.status), std::move(headers));
}

void Connection::RefuseAs(const Refusal& refusal, std::string_view type, HttpHeaders headers) {
  const RequestHead& head = reader_.head();
  if (!head_checked_) {  // it could not be read
    ++context_->counters.requests;
    method_ = head.method;
    path_ = head.target.substr(0, head.target.find('?'));
    if (request_.id.empty()) request_.id = NewRequestId();
  }
  context_->body_bytes -= std::exchange(counted_body_, 0);
  request_.received = now_;
  ++context_->counters.running;
  BeginReply(head_checked_ && head.keep_alive && reader_.done());
  const auto& body_of = context_->options.error_body;
  std::string body =
      body_of
          ? body_of({refusal.status, head.target, refusal.message, type, refusal.code, request_.id})
          : HttpErrorBody(refusal.message, type, refusal.code);
  reply_->Send(refusal.status, std::move(body), "application/json", std::move(headers));
}

}  // namespace linnet
