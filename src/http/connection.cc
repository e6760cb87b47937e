#include "http/connection.h"

#include <exception>
#include <utility>

#include "base/lower.h"
#include "http/reply_head.h"

namespace linnet {
namespace {

// What is read on behind a request that is being answered: the beginning of the next ones.
constexpr size_t kMostPipelined = 64 << 10;
// Reads and writes before the loop's other connections have their turn.
constexpr int kStepsInTurn = 16;

}  // namespace

Connection::Connection(std::shared_ptr<ServerContext> context, ConnectionHome& home, int descriptor,
                       Peer peer, bool unix_socket)
    : context_(std::move(context)),
      home_(home),
      peer_(std::move(peer)),
      unix_socket_(unix_socket),
      watch_(*home.loop, descriptor),
      channel_(descriptor, unix_socket ? nullptr : context_->tls.get()),
      reader_(context_->options.limits),
      phase_(Phase::kHandshake) {}

Connection::~Connection() = default;

void Connection::Start() {
  home_.open.insert(shared_from_this());
  since_ = now_ = Clock::now();
  Pump();
}

void Connection::Drain() {
  const bool idle = phase_ == Phase::kHandshake || (phase_ == Phase::kHead && reader_.idle());
  if (idle) Close(RequestEnd::kStopped);
}

void Connection::Close(RequestEnd end) {
  if (phase_ == Phase::kClosed) return;
  const auto self = shared_from_this();
  const bool unanswered =
      phase_ == Phase::kBody || (phase_ == Phase::kHead && head_begun_) || reply_;
  phase_ = Phase::kClosed;
  if (unanswered) {
    // A client that left while the last bytes of an error were under way misses nothing.
    if (end == RequestEnd::kGone || end == RequestEnd::kCutOff) ++context_->counters.gone;
    if (end == RequestEnd::kCutOff) ++context_->counters.cut_off;
  }
  const auto reply = reply_;
  if (unanswered) EndRequest(end);
  if (reply) reply->MarkGone();
  watch_.Close();
  if (!peer_.address.empty()) context_->peers.Remove(peer_.address);
  --context_->counters.connections;
  home_.open.erase(self);
  home_.on_closed();
}

void Connection::Pump() {
  if (phase_ == Phase::kClosed) return;
  const auto self = shared_from_this();
  now_ = Clock::now();
  try {
    Advance();
  } catch (const std::exception& failure) {  // no memory
    context_->log.WriteError(request_.id, failure.what());
    Close(RequestEnd::kGone);
  }
}

void Connection::Advance() {
  for (int step = 0; phase_ != Phase::kClosed; ++step) {
    if (step == kStepsInTurn) {
      home_.loop->Post([self = shared_from_this()] { self->Pump(); });
      return;
    }
    want_read_ = want_write_ = false;
    bool moved = false;
    if (phase_ == Phase::kHandshake) {
      moved = Shake();
    } else {
      moved = ReadStep();
      if (phase_ != Phase::kClosed && WriteStep()) moved = true;
    }
    if (moved || phase_ == Phase::kClosed) continue;
    if (const auto deadline = Deadline(); deadline && *deadline <= now_) {
      DeadlinePassed();
      continue;
    }
    Arm();
    return;
  }
}

void Connection::Arm() {
  if (want_read_ && !read_armed_) {
    read_armed_ = true;
    watch_.OnReadable([self = shared_from_this()] {
      self->read_armed_ = false;
      self->Pump();
    });
  }
  if (want_write_ && !write_armed_) {
    write_armed_ = true;
    watch_.OnWritable([self = shared_from_this()] {
      self->write_armed_ = false;
      self->Pump();
    });
  }
  // A later deadline finds the timer set: it then goes off early and is set again.
  const auto deadline = Deadline();
  if (deadline && (!armed_until_ || *deadline < *armed_until_)) {
    armed_until_ = deadline;
    watch_.At(*deadline, [self = shared_from_this()] {
      self->armed_until_.reset();
      self->Pump();
    });
  }
}

std::optional<Connection::Clock::time_point> Connection::Deadline() const {
  const HttpLimits& limits = context_->options.limits;
  const auto after = [](Clock::time_point begin, std::chrono::milliseconds time) {
    return time.count() > 0 ? std::optional(begin + time) : std::nullopt;
  };
  switch (phase_) {
    case Phase::kHandshake:
      return after(since_, limits.header_time);
    case Phase::kHead:
      return after(since_, head_begun_ || first_request_ ? limits.header_time : limits.idle_time);
    case Phase::kBody:
      return after(since_, limits.body_time);
    case Phase::kReply:
      if (!out_.empty()) return after(progress_, limits.write_time);
      return news_.events ? after(written_, limits.ping_time) : std::nullopt;
    case Phase::kLinger:
      return after(since_, limits.linger_time);
    case Phase::kClosed:
      break;
  }
  return std::nullopt;
}

void Connection::DeadlinePassed() {
  switch (phase_) {
    case Phase::kHead:
      if (!head_begun_) return Close(RequestEnd::kDone);
      [[fallthrough]];
    case Phase::kBody:
      ++context_->counters.timed_out;
      return Refuse({408, "the request did not arrive in time", "request_timeout"});
    case Phase::kHandshake:
      ++context_->counters.timed_out;
      return Close(RequestEnd::kTimedOut);
    case Phase::kReply:
      if (!out_.empty()) return Close(RequestEnd::kCutOff);
      out_ = reply_->Ping();
      progress_ = written_ = now_;
      return;
    case Phase::kLinger:
      return Close(RequestEnd::kDone);
    case Phase::kClosed:
      return;
  }
}

bool Connection::Shake() {
  if (read_armed_ || write_armed_) return false;
  switch (channel_.Handshake().outcome) {
    case Channel::Outcome::kDone:
      phase_ = Phase::kHead;
      return true;
    case Channel::Outcome::kWantRead:
      want_read_ = true;
      return false;
    case Channel::Outcome::kWantWrite:
      want_write_ = true;
      return false;
    case Channel::Outcome::kEnd:
    case Channel::Outcome::kFailed:
      break;
  }
  Close(RequestEnd::kGone);
  return false;
}

bool Connection::ReadStep() {
  const Phase before = phase_;
  Parse();  // what came with an earlier request
  if (phase_ != before) return true;
  if (read_armed_ || client_ended_) return false;
  if (phase_ == Phase::kReply && reader_.buffered() >= kMostPipelined) return false;
  const Channel::Result result = channel_.Read(home_.scratch);
  switch (result.outcome) {
    case Channel::Outcome::kDone:
      Received({home_.scratch.data(), result.bytes});
      return true;
    case Channel::Outcome::kWantRead:
      want_read_ = true;
      return false;
    case Channel::Outcome::kWantWrite:
      want_write_ = true;
      return false;
    case Channel::Outcome::kEnd:
      ClientEnded(false);
      return false;
    case Channel::Outcome::kFailed:
      ClientEnded(true);
      return false;
  }
  return false;
}

void Connection::Received(std::string_view bytes) {
  context_->counters.received += bytes.size();
  if (phase_ == Phase::kLinger) return;
  reader_.Append(bytes);
  if (phase_ == Phase::kReply) return;
  bytes_in_ += bytes.size();
  if (phase_ == Phase::kHead && !head_begun_) {
    head_begun_ = true;
    since_ = now_;
  }
  Parse();
}

void Connection::ClientEnded(bool broken) {
  // An answer that is complete is still sent to a client that only has no more to say.
  if (!broken && phase_ == Phase::kReply && reply_->ended()) {
    client_ended_ = true;
    return;
  }
  Close(RequestEnd::kGone);
}

bool Connection::WriteStep() {
  if (reply_) {
    std::string* const next = out_.empty() ? &out_ : nullptr;
    const bool begun = news_.status != 0;
    news_ = reply_->Take(next);
    if (news_.too_slow) {
      Close(RequestEnd::kCutOff);
      return false;
    }
    if (next != nullptr && !out_.empty()) {
      if (!begun) first_byte_ = now_;
      progress_ = written_ = now_;
    }
  }
  bool moved = false;
  if (!out_.empty() && !write_armed_) {
    const Channel::Result result = channel_.Write(std::string_view(out_).substr(out_begin_));
    switch (result.outcome) {
      case Channel::Outcome::kDone:
        moved = true;
        progress_ = now_;
        context_->counters.sent += result.bytes;
        bytes_out_ += result.bytes;
        out_begin_ += result.bytes;
        if (out_begin_ == out_.size()) {
          out_ = {};
          out_begin_ = 0;
        }
        break;
      case Channel::Outcome::kWantRead:
        want_read_ = true;
        break;
      case Channel::Outcome::kWantWrite:
        want_write_ = true;
        break;
      case Channel::Outcome::kEnd:
      case Channel::Outcome::kFailed:
        Close(RequestEnd::kGone);
        return false;
    }
  }
  if (reply_ && news_.ended && out_.empty()) {
    FinishReply();
    return true;
  }
  return moved;
}

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

const ApiKey* Connection::FindKey(const RequestHead& head) const {
  std::string_view key = head.Header("authorization");
  if (key.size() > 7 && Lower(std::string(key.substr(0, 7))) == "bearer ") {
    key.remove_prefix(7);
    while (key.starts_with(' ')) key.remove_prefix(1);
  } else {
    key = head.Header("x-api-key");
  }
  return key.empty() ? nullptr : context_->keys.Find(key);
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
  if (!context_->keys.empty() && !context_->rules.IsOpenPath(request_.path)) {
    key_ = FindKey(head);
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
  reply_->Send(refusal.status, HttpErrorBody(refusal.message, type, refusal.code),
               "application/json", std::move(headers));
}

void Connection::FinishReply() {
  const bool broken_off = news_.broken_off;
  const bool keep = news_.keep_alive && !client_ended_;
  EndRequest(RequestEnd::kDone);
  if (keep) {
    phase_ = Phase::kHead;
    since_ = now_;
    reader_.Reset();
    head_begun_ = reader_.buffered() > 0;
    bytes_in_ = reader_.buffered();
    return;
  }
  // A connection that is closed with bytes of the client unread would be reset, and the client
  // might lose the reply.
  const bool unread = !client_ended_ && (reader_.buffered() > 0 || !reader_.done());
  if (!broken_off) channel_.EndWriting();
  if (broken_off || !unread) return Close(RequestEnd::kDone);
  phase_ = Phase::kLinger;
  since_ = now_;
}

void Connection::EndRequest(RequestEnd end) {
  Counters& counters = context_->counters;
  if (reply_) --counters.running;
  const size_t status = static_cast<size_t>(news_.status);
  if (status > 0 && status < counters.replies.size()) ++counters.replies[status];
  context_->body_bytes -= std::exchange(counted_body_, 0);
  if (std::exchange(rated_, false)) context_->rates.End(*key_);
  LoggedRequest logged;
  logged.id = request_.id;
  logged.peer = peer_.name;
  logged.owner = request_.owner;
  logged.method = method_;
  logged.path = path_;
  logged.status = news_.status;
  logged.end = end;
  logged.bytes_in = bytes_in_;
  logged.bytes_out = bytes_out_;
  const auto time = [&](Clock::time_point at) {
    return std::chrono::duration_cast<std::chrono::microseconds>(at - request_.received);
  };
  if (reply_) {
    if (news_.status != 0) logged.first_byte = time(first_byte_);
    logged.total = time(now_);
  }
  logged.traceparent = request_.traceparent;
  context_->log.Write(logged);
  reply_.reset();
  news_ = {};
  request_ = {};
  method_ = path_ = {};
  key_ = nullptr;
  head_checked_ = false;
  bytes_in_ = bytes_out_ = 0;
}

}  // namespace linnet
