// RunText: a text to be continued as it is, answered in ChatEvents, for APIs that answer both in
// one form.
#ifndef LINNET_SERVER_TEXT_RUN_H_
#define LINNET_SERVER_TEXT_RUN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "server/chat_job.h"
#include "server/completion_request.h"

namespace linnet {

// Queues the continuation of `prompt`, one choice, with the fields of the request; what it writes
// is told as text, without thoughts and calls. Throws as RunChat.
std::shared_ptr<ChatRun> RunText(std::shared_ptr<const ServedModel> served,
                                 const CompletionRequest& request, std::vector<int32_t> prompt,
                                 std::shared_ptr<ChatEvents> events);

}  // namespace linnet

#endif  // LINNET_SERVER_TEXT_RUN_H_
