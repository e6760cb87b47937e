// The requests of docs/http-api.md get the answers that it describes, from the built-in model.
#include <gtest/gtest.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "linnet/model.h"
#include "models/test_models.h"
#include "server/api.h"
#include "server/json_fields.h"
#include "server/test_server.h"

namespace linnet {
namespace {

struct DocumentedRequest {
  std::string method, path, body{};
};

// Each line `curl localhost:8080PATH …` of the page, with the body after -d.
std::vector<DocumentedRequest> RequestsOf(const std::string& page) {
  static const std::regex kCurl("(?:^|\n)curl (?:-X ([A-Z]+) )?localhost:8080(\\S+)([^\n]*)");
  std::vector<DocumentedRequest> requests;
  for (std::sregex_iterator at(page.begin(), page.end(), kCurl), end; at != end; ++at) {
    DocumentedRequest request{.method = (*at)[1], .path = (*at)[2]};
    const size_t line = static_cast<size_t>(at->position()) + at->length();
    if ((*at)[3].str().ends_with('\\')) {  // the body is on the next lines, between quotes
      const size_t begin = page.find("-d '", line) + 4;
      request.body = page.substr(begin, page.find('\'', begin) - begin);
    }
    if (request.method.empty()) request.method = request.body.empty() ? "GET" : "POST";
    requests.push_back(std::move(request));
  }
  return requests;
}

TEST(DocumentedRequestsThreadTest, AreAnsweredByTheBuiltInModel) {
  const bool built_in = Model::HasBuiltIn();
  const Model model = built_in ? Model::BuiltIn() : Model::Open(test::ByteModel("v5.2"));
  const auto tokenizer = TokenizerOf(model);
  Workspace workspace({.threads = 1});
  StateCache cache(model.state_shape(), "id", {});
  Scheduler scheduler(model, tokenizer, workspace, &cache);
  auto served = std::make_shared<ServedModel>();
  served->name = "builtin";
  served->model = &model;
  served->tokenizer = tokenizer;
  served->vocab = model.config().vocab;
  served->chat_template = std::make_shared<const ChatTemplate>(ChatTemplate::Named("world"));
  served->cache = &cache;
  served->identity = model.Identity(workspace, {.cache = ""});
  served->states = std::make_shared<KeptStates>(KeptStatesOptions{});
  UseScheduler(*served, scheduler);
  const auto states = served->states;
  Metrics metrics;
  Api api(std::make_shared<const ServedModels>(
              std::vector<std::shared_ptr<const ServedModel>>{std::move(served)}),
          metrics, {.states = states});
  api.SetReady(true);

  std::ifstream file("docs/http-api.md");
  std::stringstream page;
  page << file.rdbuf();
  const auto requests = RequestsOf(page.str());
  EXPECT_GE(requests.size(), 18u);
  for (const DocumentedRequest& request : requests) {
    const auto reply = test::Ask(api.router(), request.method, request.path, request.body);
    ASSERT_TRUE(reply->WaitForEnd());
    EXPECT_EQ(reply->status, 200) << request.path << request.body << reply->body;
    if (reply->streamed || reply->content_type != "application/json") continue;
    const Json answer = Json::parse(reply->body);
    if (!answer.contains("choices")) continue;
    // The field that the page says there is.
    const bool ai00 = request.path.starts_with("/api/");
    EXPECT_GT(answer["usage"][ai00 ? "completion" : "completion_tokens"], 0);
    const Json& choice = answer["choices"][0];
    if (request.body.find("required\"") != std::string::npos &&
        choice["finish_reason"] == "tool_calls") {
      EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "weather");
    }
  }
}

}  // namespace
}  // namespace linnet
