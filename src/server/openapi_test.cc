#include "server/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <regex>
#include <set>
#include <string>

#include "server/admin.h"
#include "server/ai00.h"
#include "server/anthropic_messages.h"
#include "server/cache_explain.h"
#include "server/chats.h"
#include "server/choose.h"
#include "server/embeddings.h"
#include "server/llama_completion.h"
#include "server/llama_status.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/ollama.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/page.h"
#include "server/rerank.h"
#include "server/responses.h"
#include "server/resumable_streams.h"
#include "server/score.h"
#include "server/scripted_model.h"
#include "server/states.h"
#include "server/system_one.h"
#include "server/tokenizer_routes.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::ScriptedModel;

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

class OpenApiTest : public testing::Test {
 protected:
  OpenApiTest() {
    models_ = std::make_shared<ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{ScriptedModel(engine_)});
    AddChat(router_, models_);
    AddCompletions(router_, models_);
    AddResponseRoutes(router_, models_, std::make_shared<ResponseStore>(ResponseStoreOptions{}));
    AddEmbeddingRoutes(router_, models_);
    AddScoreRoutes(router_, models_);
    AddChooseRoutes(router_, models_);
    AddRerankRoutes(router_, models_);
    AddSystemOneRoutes(router_, models_);
    AddTokenizerRoutes(router_, models_);
    AddLlamaCompletion(router_, models_);
    AddLlamaStatus(router_, models_);
    AddAi00Texts(router_, models_);
    AddAi00Others(router_, models_);
    AddStateRoutes(router_, models_, std::make_shared<KeptStates>(KeptStatesOptions{}));
    AddAdminRoutes(router_, models_);
    AddCacheRoutes(router_, models_);
    AddLoraRoutes(router_, models_, "");
    AddStreamRoutes(router_, std::make_shared<ResumableStreams>());
    AddAnthropicRoutes(router_, models_);
    AddOllamaRoutes(router_, models_, {});
    AddModelRoutes(router_, models_);
    AddHealthRoutes(router_, [] { return true; });
    AddChatStoreRoutes(router_, std::make_shared<ChatStore>(ChatStoreOptions{}));
    AddMetricsRoute(router_, metrics_);
    AddPageRoutes(router_);
    AddOpenApiRoute(router_, models_);
  }
  test::ScriptedEngine engine_;
  Metrics metrics_;
  std::shared_ptr<ServedModels> models_;
  Router router_;
};

TEST_F(OpenApiTest, DescribesTheRoutesThatThereAre) {
  const Json document = AnswerTo(router_, "GET", "/openapi.json");
  EXPECT_EQ(document.at("openapi"), "3.1.0");
  std::set<std::string> described, routed;
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) described.insert(method + " " + path);
  }
  for (const Router::Route& route : router_.routes()) {
    routed.insert(Lower(route.method) + " " + route.pattern);
  }
  // The files of the page are for browsers only.
  for (const std::string& path : PagePaths()) {
    if (path != "/") routed.erase("get " + path);
  }
  EXPECT_EQ(described, routed);
}

TEST_F(OpenApiTest, EveryReferenceHasItsTargetAndEveryPartOfAPathItsParameter) {
  const Json document = OpenApi(*models_);
  std::set<std::string> used;
  const std::function<void(const Json&)> visit = [&](const Json& value) {
    if (value.is_object() && value.contains("$ref")) {
      const std::string target = value.at("$ref").get<std::string>().substr(1);
      EXPECT_TRUE(document.contains(Json::json_pointer(target))) << target;
      used.insert(target);
    }
    if (value.is_structured()) {
      for (const Json& part : value) visit(part);
    }
  };
  visit(document);
  for (const auto& [name, schema] : document.at("components").at("schemas").items()) {
    EXPECT_TRUE(used.contains("/components/schemas/" + name) || name == "Sampling") << name;
  }
  std::set<std::string> operations;
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      EXPECT_TRUE(operations.insert(operation.at("operationId")).second);
      const std::string parameters = operation.value("parameters", Json::array()).dump();
      if (path.find('{') != std::string::npos) {
        const char* name = path.find("response_id") != std::string::npos ? "ResponseId"
                           : path.find("state_id") != std::string::npos  ? "StateId"
                           : path.find("chat_id") != std::string::npos   ? "ChatId"
                           : path.find("{lora}") != std::string::npos    ? "lora"
                           : path.find("stream_id") != std::string::npos ? "stream_id"
                                                                         : "model";
        EXPECT_NE(parameters.find(name), std::string::npos) << path;
      }
      const char* const good = operation.at("responses").contains("501") ? "501" : "200";
      for (const char* status : {good, "4XX", "5XX"}) {
        EXPECT_TRUE(operation.at("responses").at(status).contains("content")) << path << status;
      }
    }
  }
}

TEST_F(OpenApiTest, ExamplesAreAnswered) {
  const Json document = OpenApi(*models_);
  size_t examples = 0;
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      const Json::json_pointer at("/requestBody/content/application~1json/example");
      if (!operation.contains(at)) continue;
      ++examples;
      // A scripted model has no states.
      const int status = path == "/v1/states" ? 422 : 200;
      std::string verb = method;
      for (char& c : verb) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
      const std::string target = std::regex_replace(path, std::regex("\\{.*?\\}"), "some-1");
      AnswerTo(router_, verb, target, operation.at(at).dump(), "", status);
    }
  }
  EXPECT_EQ(examples, 26u);
}

TEST_F(OpenApiTest, NamesTheServedModels) {
  auto other = ScriptedModel(engine_);
  other->name = "large";
  other->other_names = {"gpt"};
  other->vocab = 100;
  const Json schemas =
      OpenApi(ServedModels({ScriptedModel(engine_), other})).at("components").at("schemas");
  EXPECT_EQ(schemas.at("ModelName").at("enum"), (Json{nullptr, "tiny", "large", "gpt"}));
  EXPECT_EQ(schemas.at("TokenId").at("maximum"), 99);
}

}  // namespace
}  // namespace linnet
