// Ollama's interface: its routes below /api. The line by which its clients know a server is that of
// AddPageRoutes.
#ifndef LINNET_SERVER_OLLAMA_H_
#define LINNET_SERVER_OLLAMA_H_

#include <memory>

#include "server/model_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

// /api/pull, copy and delete answer 403 to whoever may not change models. The store outlives the
// router.
void AddOllamaRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                     const ModelChanges& changes);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_H_
