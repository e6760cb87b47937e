#include "server/openapi.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <set>
#include <string>

#include "server/embeddings.h"
#include "server/metrics.h"
#include "server/models.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/responses.h"
#include "server/scripted_model.h"

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
    AddModelRoutes(router_, models_);
    AddHealthRoutes(router_, [] { return true; });
    AddMetricsRoute(router_, metrics_);
    AddOpenApiRoute(router_, *models_);
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
        EXPECT_NE(
            parameters.find(path.find("response_id") != std::string::npos ? "ResponseId" : "model"),
            std::string::npos)
            << path;
      }
      for (const char* status : {"200", "4XX", "5XX"}) {
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
      AnswerTo(router_, "POST", path, operation.at(at).dump());
    }
  }
  EXPECT_EQ(examples, 4u);
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
