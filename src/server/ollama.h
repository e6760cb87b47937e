// Ollama's interface: its routes below /api, and the line by which its clients know a server.
#ifndef LINNET_SERVER_OLLAMA_H_
#define LINNET_SERVER_OLLAMA_H_

#include <memory>

#include "server/model_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

struct OllamaOptions {
  // For /api/pull, copy and delete; null: this server changes no models, and says so with 501.
  ModelStore* store = nullptr;
  // Answers GET / to clients that accept text/html; empty: they get the line too.
  RouteHandler page{};
};

// `store` outlives the router. Models are changed for admin keys; on a server without keys, for
// clients on this machine.
void AddOllamaRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                     const OllamaOptions& options);

}  // namespace linnet

#endif  // LINNET_SERVER_OLLAMA_H_
