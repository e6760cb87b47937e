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

// OpenAI's object of a model: id, object, created, owned_by; and llama-server's `meta`.
OrderedJson ModelObject(const ServedModel& served);

// An entry of the list `models` that Codex reads. Codex refuses the whole list if one of its
// required fields is missing.
OrderedJson CodexModelObject(const ServedModel& served);

// GET /v1/models, with `data` for OpenAI's clients and `models` for Codex, and GET
// /v1/models/{model}, where a name may contain one slash.
void AddModelRoutes(Router& router, std::shared_ptr<const ServedModels> models);

// GET /health says that the process answers. GET /ready says whether a request would be taken now:
// 503 with Retry-After while `ready` returns false. It is called by any thread.
void AddHealthRoutes(Router& router, std::function<bool()> ready);

}  // namespace linnet

#endif  // LINNET_SERVER_MODELS_H_
