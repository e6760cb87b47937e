// POST /v1/messages and /v1/messages/count_tokens: Anthropic's Messages API.
#ifndef LINNET_SERVER_ANTHROPIC_MESSAGES_H_
#define LINNET_SERVER_ANTHROPIC_MESSAGES_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// Names that begin with `claude` mean the first model unless one is served under them: clients of
// this API ask for several models of the family, for titles and the like.
void AddAnthropicRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_ANTHROPIC_MESSAGES_H_
