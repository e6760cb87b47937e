// Ollama's routes that tell of models: /api/tags, /api/show, /api/ps and /api/version.
#ifndef LINNET_SERVER_OLLAMA_MODELS_H_
#define LINNET_SERVER_OLLAMA_MODELS_H_

#include <memory>
#include <string>
#include <vector>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The name with a tag, as Ollama's clients expect it: "NAME:latest".
std::string TaggedName(const ServedModel& served);

// "completion", "tools" and "thinking", as far as the chat template can do it. Never "embedding" or
// "insert": models that are not trained for them do both, but not well.
std::vector<std::string> CapabilitiesOf(const ServedModel& served);

void AddOllamaModelRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_MODELS_H_
