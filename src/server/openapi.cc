#include "server/openapi.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "server/openapi_parts.h"

namespace linnet {
namespace {

Json Ref(const std::string& schema) { return {{"$ref", "#/components/schemas/" + schema}}; }

Json ErrorResponse(const char* description) {
  return {{"description", description},
          {"content", {{"application/json", {{"schema", Ref("Error")}}}}}};
}

// A route whose 200 is the name of a schema, with the rest that all have.
void CompleteOperation(Json& operation) {
  Json& good = operation["responses"]["200"];
  if (good.is_string()) {
    good = {{"description", "The answer."},
            {"content", {{"application/json", {{"schema", Ref(good.get<std::string>())}}}}}};
    if (operation.value("x-streams", false)) {
      good["content"]["text/event-stream"] = Json::object();
    }
  }
  operation["responses"]["4XX"] =
      ErrorResponse("The request cannot be answered; `param` names the field at fault.");
  operation["responses"]["5XX"] = ErrorResponse("The server cannot answer now, or at all.");
}

}  // namespace

Json OpenApi(const ServedModels& models) {
  Json document = {{"openapi", "3.1.0"},
                   {"info",
                    {{"title", "Linnet"},
                     {"version", "1"},
                     {"description",
                      "RWKV language models behind OpenAI's interface. Unknown fields are "
                      "ignored; a field that is null is as if it were absent."}}},
                   {"paths", Json::object()},
                   {"security", Json::array({Json::object(), {{"key", Json::array()}}})},
                   {"components",
                    {{"securitySchemes", {{"key", {{"type", "http"}, {"scheme", "bearer"}}}}},
                     {"schemas", Json::object()}}}};
  Json& schemas = document["components"]["schemas"];
  for (const char* text : {kOpenApiChat, kOpenApiCompletions, kOpenApiResponses, kOpenApiOther}) {
    Json part = Json::parse(text);
    for (auto& [path, methods] : part.at("paths").items()) {
      for (auto& [method, operation] : methods.items()) CompleteOperation(operation);
      document["paths"][path] = std::move(methods);
    }
    for (auto& [name, schema] : part.at("schemas").items()) schemas[name] = std::move(schema);
    if (part.contains("parameters")) document["components"]["parameters"] = part["parameters"];
  }
  // The fields of sampling are those of three requests.
  const Json sampling = schemas.at("Sampling").at("properties");
  for (const char* name : {"ChatRequest", "CompletionRequest", "ResponseRequest"}) {
    schemas.at(name).at("properties").update(sampling);
  }
  Json names = Json::array({nullptr}), sizes = Json::array({nullptr});
  size_t vocab = SIZE_MAX;
  for (const auto& served : models.all()) {
    names.push_back(served->name);
    for (const std::string& name : served->other_names) names.push_back(name);
    if (served->model != nullptr) sizes.push_back(served->model->config().width);
    vocab = std::min(vocab, served->vocab);
  }
  schemas["ModelName"] = {{"description", "One of the served models; by default the first."},
                          {"enum", std::move(names)}};
  schemas["Dimensions"] = {
      {"description", "The size of the model's vectors: no other is possible."},
      {"enum", std::move(sizes)}};
  schemas["TokenId"] = {{"type", "integer"}, {"minimum", 0}, {"maximum", vocab - 1}};
  return document;
}

void AddOpenApiRoute(Router& router, const ServedModels& models) {
  router.Add("GET", "/openapi.json", [text = Dump(OpenApi(models))](const RouteCall& call) {
    call.reply->Send(200, text);
  });
}

}  // namespace linnet
