// POST /v1/chat/completions: OpenAI's chat.
#ifndef LINNET_SERVER_OPENAI_CHAT_H_
#define LINNET_SERVER_OPENAI_CHAT_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// Also at /chat/completions, for clients whose base URL ends without /v1. The models outlive the
// router.
void AddChat(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAI_CHAT_H_
