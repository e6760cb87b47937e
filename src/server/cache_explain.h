// POST /v1/cache/explain: what the state cache has of a prompt, and at which token they part.
#ifndef LINNET_SERVER_CACHE_EXPLAIN_H_
#define LINNET_SERVER_CACHE_EXPLAIN_H_

#include <memory>

#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// The body is that of a request of chat (`messages`) or of completions (`prompt`). Nothing is run,
// kept or counted.
void AddCacheRoutes(Router& router, std::shared_ptr<const ServedModels> models);

}  // namespace linnet

#endif  // LINNET_SERVER_CACHE_EXPLAIN_H_
