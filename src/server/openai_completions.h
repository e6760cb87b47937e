// POST /v1/completions: OpenAI's completions of raw text.
#ifndef LINNET_SERVER_OPENAI_COMPLETIONS_H_
#define LINNET_SERVER_OPENAI_COMPLETIONS_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// Answers such a request. Throws what cannot be answered.
void AnswerCompletion(const ServedModels& models, const RouteCall& call);

void AddCompletions(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAI_COMPLETIONS_H_
