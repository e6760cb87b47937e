#include "server/openapi.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "server/openapi_parts.h"

namespace linnet {
namespace {

Json Ref(const std::string& schema) { return {{"$ref", "#/components/schemas/" + schema}}; }

Json ErrorResponse(const char* description, const std::string& schema) {
  return {{"description", description},
          {"content", {{"application/json", {{"schema", Ref(schema)}}}}}};
}

// Other paths of the same operations: path, and the one that is described.
constexpr std::pair<const char*, const char*> kAliases[] = {
    {"/chat/completions", "/v1/chat/completions"},
    {"/completions", "/v1/completions"},
    {"/v2/rerank", "/v1/rerank"},
    {"/v1/reranking", "/v1/rerank"},
    {"/rerank", "/v1/rerank"},
    {"/reranking", "/v1/rerank"},
    {"/api/oai/v1/chat/completions", "/api/oai/chat/completions"},
    {"/api/oai/v1/completions", "/api/oai/completions"},
    {"/api/oai/v1/chooses", "/api/oai/chooses"},
    {"/api/oai/v1/states", "/api/oai/states"},
    {"/api/oai/v1/embeds", "/api/oai/embeds"},
    {"/api/oai/v1/models", "/api/oai/models"}};

// The operation of a path as that of another one.
Json AliasOf(Json methods, const std::string& alias, const std::string& path) {
  std::string id = alias;
  std::replace(id.begin(), id.end(), '/', '_');
  for (auto& [method, operation] : methods.items()) {
    operation["operationId"] = operation.at("operationId").get<std::string>() + id;
    operation["summary"] = "The same as " + path;
    const Json::json_pointer content("/requestBody/content/application~1json");
    if (operation.contains(content)) operation[content].erase("example");
  }
  return methods;
}

// A route whose 200 is the name of a schema, with the rest that all have.
void CompleteOperation(Json& operation) {
  Json& good = operation["responses"][operation.at("responses").contains("501") ? "501" : "200"];
  if (good.is_string()) {
    good = {{"description", "The answer."},
            {"content", {{"application/json", {{"schema", Ref(good.get<std::string>())}}}}}};
    const Json streams = operation.value("x-streams", Json(false));
    if (streams.is_string()) {
      good["content"][streams.get<std::string>()] = Json::object();
    } else if (streams == true) {
      good["content"]["text/event-stream"] = Json::object();
    }
  }
  const std::string errors = operation.value("x-errors", "Error");
  operation["responses"]["4XX"] = ErrorResponse(
      "The request cannot be answered; the message names the field at fault.", errors);
  operation["responses"]["5XX"] = ErrorResponse("The server cannot answer now, or at all.", errors);
}

}  // namespace

Json OpenApi(const ServedModels& models) {
  Json document = {{"openapi", "3.1.0"},
                   {"info",
                    {{"title", "Linnet"},
                     {"version", "1"},
                     {"description",
                      "RWKV language models behind the interfaces of OpenAI, Anthropic and Ollama. "
                      "Unknown fields are "
                      "ignored; a field that is null is as if it were absent."}}},
                   {"paths", Json::object()},
                   {"security", Json::array({Json::object(), {{"key", Json::array()}}})},
                   {"components",
                    {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}},
                     {"schemas", Json::object()}}}};
  Json& schemas = document["components"]["schemas"];
  for (const char* text :
       {kOpenApiChat, kOpenApiCompletions, kOpenApiResponses, kOpenApiScoring, kOpenApiLlama,
        kOpenApiOther, kOpenApiStates, kOpenApiAnthropic, kOpenApiOllama}) {
    Json part = Json::parse(text);
    for (auto& [path, methods] : part.at("paths").items()) {
      for (auto& [method, operation] : methods.items()) CompleteOperation(operation);
      document["paths"][path] = std::move(methods);
    }
    for (auto& [name, schema] : part.at("schemas").items()) schemas[name] = std::move(schema);
    if (part.contains("parameters")) {
      document["components"]["parameters"].update(part["parameters"]);
    }
  }
  for (const auto& [alias, path] : kAliases) {
    document["paths"][alias] = AliasOf(document["paths"].at(path), alias, path);
  }
  // /completions also answers in llama-server's form.
  document["paths"]["/completions"]["post"]["responses"]["200"]["content"]["application/json"]
          ["schema"] = {{"anyOf", {Ref("CompletionAnswer"), Ref("LlamaAnswer")}}};
  // Requests that have the fields of sampling.
  const Json sampling = schemas.at("Sampling").at("properties");
  for (const char* name : {"ChatRequest", "CompletionRequest", "ResponseRequest", "LlamaRequest",
                           "MessagesRequest", "OllamaOptions"}) {
    schemas.at(name).at("properties").update(sampling);
  }
  Json names = Json::array({nullptr}), sizes = Json::array({nullptr});
  size_t vocab = SIZE_MAX;
  for (const ModelEntry& model : models.entries()) {
    names.push_back(model.name);
    for (const std::string& name : model.other_names) names.push_back(name);
  }
  for (const auto& served : models.all()) {
    if (served->model != nullptr) sizes.push_back(served->model->config().width);
    vocab = std::min(vocab, served->vocab);
  }
  schemas["ModelName"] = {{"description", "One of the served models; by default the first."},
                          {"enum", std::move(names)}};
  schemas["Dimensions"] = {
      {"description", "The size of the model's vectors: no other is possible."},
      {"enum", std::move(sizes)}};
  schemas["TokenId"] = {{"type", "integer"}, {"minimum", 0}};
  if (vocab != SIZE_MAX) schemas["TokenId"]["maximum"] = vocab - 1;
  return document;
}

void AddOpenApiRoute(Router& router, std::shared_ptr<const ServedModels> models) {
  router.Add("GET", "/openapi.json", [models = std::move(models)](const RouteCall& call) {
    call.reply->Send(200, Dump(OpenApi(*models)));
  });
}

}  // namespace linnet
