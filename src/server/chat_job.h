// RunChat: a ChatRequest as a job of the scheduler, whose text becomes ChatEvents.
#ifndef LINNET_SERVER_CHAT_JOB_H_
#define LINNET_SERVER_CHAT_JOB_H_

#include <cstdint>
#include <memory>
#include <utility>

#include "http/http.h"
#include "server/chat_events.h"
#include "server/chat_request.h"
#include "server/served_model.h"

namespace linnet {

// A running request. Thread-safe.
class ChatRun {
 public:
  ChatRun(std::shared_ptr<const ServedModel> served, uint64_t job)
      : served_(std::move(served)), job_(job) {}
  // The choices that have not ended end as kCancelled, then OnDone follows.
  void Cancel() const { served_->cancel(job_); }

 private:
  std::shared_ptr<const ServedModel> served_;
  uint64_t job_;
};

// Queues the request; events are called from then on. Throws what cannot be answered: RequestError
// and Errors of the scheduler; no event is called then. Afterwards the cache is warmed with the
// conversation as the next request will write it, if the model has a cache.
std::shared_ptr<ChatRun> RunChat(std::shared_ptr<const ServedModel> served,
                                 const ChatRequest& request, std::shared_ptr<ChatEvents> events);

// Cancels when the client leaves. `reply` keeps the run until its end.
void CancelWhenGone(HttpReply& reply, std::shared_ptr<ChatRun> run);

// The tokens of the prompt that RunChat would read.
size_t PromptTokens(const ServedModel& served, const ChatRequest& request);

}  // namespace linnet

#endif  // LINNET_SERVER_CHAT_JOB_H_
