#include "server/api.h"

#include "server/adapters.h"
#include "server/admin.h"
#include "server/ai00.h"
#include "server/anthropic_messages.h"
#include "server/cache_explain.h"
#include "server/chats.h"
#include "server/choose.h"
#include "server/embeddings.h"
#include "server/llama_completion.h"
#include "server/llama_status.h"
#include "server/models.h"
#include "server/ollama.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/openapi.h"
#include "server/page.h"
#include "server/rerank.h"
#include "server/responses.h"
#include "server/resumable_streams.h"
#include "server/score.h"
#include "server/states.h"
#include "server/system_one.h"
#include "server/tokenizer_routes.h"

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
  AddScoreRoutes(router_, models);
  AddChooseRoutes(router_, models);
  AddRerankRoutes(router_, models);
  AddSystemOneRoutes(router_, models);
  AddTokenizerRoutes(router_, models);
  AddLlamaCompletion(router_, models);
  AddLlamaStatus(router_, models);
  AddAi00Texts(router_, models);
  AddAi00Others(router_, models);
  AddStateRoutes(
      router_, models,
      options.states ? options.states : std::make_shared<KeptStates>(KeptStatesOptions{}));
  ChatStoreOptions chats;
  chats.folder = options.folder;
  AddChatStoreRoutes(router_, std::make_shared<ChatStore>(chats));
  AddAnthropicRoutes(router_, models);
  // Browsers get the page at `/`, and Ollama's clients the line by which they know a server.
  AddPageRoutes(router_, "Ollama is running");
  AddOllamaRoutes(router_, models, options.changes);
  AddMetricsRoute(router_, metrics);
  const auto streams = std::make_shared<ResumableStreams>();
  router_.WrapReplies([streams](const HttpRequest& request, std::shared_ptr<HttpReply> reply) {
    return streams->Wrap(request, std::move(reply));
  });
  AddStreamRoutes(router_, streams);
  AddLoraRoutes(router_, models, options.lora_folder);
  AddCacheRoutes(router_, models);
  AddAdminRoutes(router_, models, options.changes);
  AddOpenApiRoute(router_, models);
}

}  // namespace linnet
