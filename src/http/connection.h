// Connection: one client's requests, one after the other.
#ifndef LINNET_HTTP_CONNECTION_H_
#define LINNET_HTTP_CONNECTION_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "http/access_log.h"
#include "http/channel.h"
#include "http/event_loop.h"
#include "http/http.h"
#include "http/http_listener.h"
#include "http/reply_buffer.h"
#include "http/request_reader.h"
#include "http/server_context.h"

namespace linnet {

class Connection;

// One I/O thread's connections; only on that thread, but for `loop`.
struct ConnectionHome {
  std::shared_ptr<EventLoop> loop = std::make_shared<EventLoop>();
  std::unordered_set<std::shared_ptr<Connection>> open;
  std::vector<char> scratch = std::vector<char>(64 << 10);  // what was just received
  std::function<void()> on_closed;
};

// A connection waits for several things at the same time: bytes of the client, room to send, its
// reply (from another thread), and a deadline. Whatever comes first calls Pump, which does all that
// can be done without waiting and then waits again. All functions on the home's thread.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // Takes the descriptor. Throws if the system has no room to watch it.
  Connection(std::shared_ptr<ServerContext> context, ConnectionHome& home, int descriptor,
             Peer peer, bool unix_socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Enters the home and begins. The home keeps the connection until it is closed.
  void Start();
  // Closes it unless a request is being received or answered; then it is the last one.
  void Drain();
  void Close(RequestEnd end);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Phase {
    kHandshake,
    kHead,    // of a request; nothing may have come yet
    kBody,    // the head was accepted
    kReply,   // the request was given away or refused
    kLinger,  // reading until the client has seen the reply
    kClosed,
  };

  void Pump();
  void Advance();
  bool Shake();
  bool ReadStep();
  void Received(std::string_view bytes);
  void ClientEnded(bool broken);
  bool WriteStep();
  void Arm();
  std::optional<Clock::time_point> Deadline() const;
  void DeadlinePassed();

  void Parse();
  void OnHead();
  void OnRequest();
  void CountBody();
  void BeginReply(bool keep_alive);
  // A refused request whose body was not read ends the connection.
  void Refuse(const Refusal& refusal, HttpHeaders headers = {});
  void RefuseAs(const Refusal& refusal, std::string_view type, HttpHeaders headers);
  static std::shared_ptr<const ApiKey> FindKey(const std::shared_ptr<const ServerSecrets>& secrets,
                                               const RequestHead& head);
  void FinishReply();
  void FreePlaceOfKey();
  void EndRequest(RequestEnd end);

  const std::shared_ptr<ServerContext> context_;
  ConnectionHome& home_;
  const Peer peer_;
  const bool unix_socket_;
  Watch watch_;
  Channel channel_;
  RequestReader reader_;

  Phase phase_;
  Clock::time_point now_;
  bool read_armed_ = false, write_armed_ = false;
  bool want_read_ = false, want_write_ = false;
  bool first_request_ = true, head_begun_ = false, client_ended_ = false;
  Clock::time_point since_;     // the phase's time limit counts from here
  Clock::time_point progress_;  // the client took bytes, or there were none to take
  Clock::time_point written_;   // the reply had bytes
  std::optional<Clock::time_point> armed_until_;

  std::string out_;  // from `out_begin_`: to be sent
  size_t out_begin_ = 0;
  size_t counted_body_ = 0;  // of context_->body_bytes

  // Of the request that is being received or answered.
  HttpRequest request_;
  std::string method_, path_;
  bool head_checked_ = false;
  std::shared_ptr<const ApiKey> key_;  // null without keys
  bool rated_ = false;                 // counted by RateLimits
  std::shared_ptr<ReplyBuffer> reply_;
  ReplyBuffer::News news_;
  size_t bytes_in_ = 0, bytes_out_ = 0;
  Clock::time_point first_byte_;
};

}  // namespace linnet

#endif  // LINNET_HTTP_CONNECTION_H_
