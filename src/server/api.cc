#include "server/api.h"

#include "server/embeddings.h"
#include "server/models.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/openapi.h"
#include "server/responses.h"

namespace linnet {
namespace {

ResponseStoreOptions StoreOptions(const ApiOptions& options) {
  ResponseStoreOptions store;
  store.folder = options.folder;
  return store;
}

}  // namespace

Api::Api(std::shared_ptr<const ServedModels> models, const Metrics& metrics,
         const ApiOptions& options)
    : responses_(std::make_shared<ResponseStore>(StoreOptions(options))) {
  AddHealthRoutes(router_, [this] { return ready_.load(); });
  AddModelRoutes(router_, models);
  AddChat(router_, models);
  AddCompletions(router_, models);
  AddResponseRoutes(router_, models, responses_);
  AddEmbeddingRoutes(router_, models);
  AddMetricsRoute(router_, metrics);
  AddOpenApiRoute(router_, *models);
}

}  // namespace linnet
