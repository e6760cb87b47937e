#include "http/connection.h"

#include <exception>
#include <utility>

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
      channel_(descriptor, unix_socket ? nullptr : context_->secrets()->tls.get()),
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
  const auto reply = reply_;
  if (unanswered) {
    EndRequest(end);
    // A client that left while the last bytes of an error were under way misses nothing.
    if (end == RequestEnd::kGone || end == RequestEnd::kCutOff) ++context_->counters.gone;
    if (end == RequestEnd::kCutOff) ++context_->counters.cut_off;
  }
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
    // Before the last bytes: who has read them may ask again at once.
    if (news_.ended) FreePlaceOfKey();
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

void Connection::FreePlaceOfKey() {
  if (std::exchange(rated_, false)) context_->rates.End(*key_);
}

void Connection::EndRequest(RequestEnd end) {
  Counters& counters = context_->counters;
  if (reply_) --counters.running;
  const size_t status = static_cast<size_t>(news_.status);
  if (status > 0 && status < counters.replies.size()) ++counters.replies[status];
  context_->body_bytes -= std::exchange(counted_body_, 0);
  FreePlaceOfKey();
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
