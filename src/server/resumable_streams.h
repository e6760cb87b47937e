// ResumableStreams: answers that go on when the connection breaks, and are taken up again where it
// did.
#ifndef LINNET_SERVER_RESUMABLE_STREAMS_H_
#define LINNET_SERVER_RESUMABLE_STREAMS_H_

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "http/http.h"
#include "server/router.h"

namespace linnet {

struct ResumableOptions {
  // How long an answer goes on without a client, and how long it is kept after its end.
  std::chrono::milliseconds unattended{60'000}, kept{600'000};
  size_t stream_bytes = size_t{4} << 20;  // kept of one stream; the oldest events go
  size_t streams = 512, owner_streams = 64;
  std::function<std::chrono::steady_clock::time_point()> clock{};  // for tests; empty: the steady
};

// A request with the header `x-stream-id: ID`, or `x-conversation-id: ID`, gets a reply that is
// kept: the events of its stream have numbers from 0 as SSE's `id`, and if the client leaves, the
// request is not cancelled at once. Whoever has the same API key asks for the rest by the id.
// Thread-safe.
class ResumableStreams {
 public:
  explicit ResumableStreams(const ResumableOptions& options = {});
  ~ResumableStreams();
  ResumableStreams(const ResumableStreams&) = delete;
  ResumableStreams& operator=(const ResumableStreams&) = delete;

  // The reply that the handler gets; `reply` itself if the request has no such header. Throws
  // RequestError: 400 for a bad id, 409 if an answer with this id is running, 429 if there are too
  // many.
  std::shared_ptr<HttpReply> Wrap(const HttpRequest& request, std::shared_ptr<HttpReply> reply);

  // Cancels what nobody came back for and forgets what is old; also done by a thread of its own.
  void Expire();

  class Impl;

 private:
  std::shared_ptr<Impl> impl_;
  friend void AddStreamRoutes(Router&, std::shared_ptr<ResumableStreams>);
};

// GET /v1/streams/{stream_id}, which goes on after the header `last-event-id` or `?after=N`, and
// DELETE, which cancels.
void AddStreamRoutes(Router& router, std::shared_ptr<ResumableStreams> streams);

}  // namespace linnet

#endif  // LINNET_SERVER_RESUMABLE_STREAMS_H_
