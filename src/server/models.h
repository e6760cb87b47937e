// The routes that say which models are served and whether the server answers: /v1/models, /health
// and /ready.
#ifndef LINNET_SERVER_MODELS_H_
#define LINNET_SERVER_MODELS_H_

#include <functional>
#include <memory>

#include "server/json_fields.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// OpenAI's object of a model: id, object, created, owned_by; Anthropic's type, display_name,
// created_at; and llama-server's `meta`, of which more is known if it is in memory.
OrderedJson ModelObject(const ModelEntry& model);

// An entry of the list `models` that Codex reads. Codex refuses the whole list if one of its
// required fields is missing.
OrderedJson CodexModelObject(const ModelEntry& model);

// GET /v1/models, with `data` for OpenAI's and Anthropic's clients and `models` for Codex, and GET
// /v1/models/{model}, where a name may contain one slash.
void AddModelRoutes(Router& router, std::shared_ptr<const ServedModels> models);

// GET /health says that the process answers. GET /ready says whether a request would be taken now:
// 503 with Retry-After while `ready` returns false. It is called by any thread.
void AddHealthRoutes(Router& router, std::function<bool()> ready);

}  // namespace linnet

#endif  // LINNET_SERVER_MODELS_H_
