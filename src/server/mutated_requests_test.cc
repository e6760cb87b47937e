// Ten thousand damaged requests: each gets a valid answer or is refused as the client's fault.
#include <gtest/gtest.h>

#include <random>

#include "server/json_fields.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/test_server.h"

namespace linnet {
namespace {

struct Request {
  const char* path;
  std::string body;
};

const std::vector<Request>& ValidRequests() {
  static const std::vector<Request> kRequests = {
      {"/v1/chat/completions", R"({"model":"tiny","messages":[{"role":"user","content":"Hi"}]})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"system","content":"Be kind."},{"role":"user","content":[{"type":"text",
        "text":"é\n\u00e9"}]},{"role":"assistant","content":"a","reasoning_content":"b"},{"role":"user",
        "content":"c"}],"stream":true,"stream_options":{"include_usage":true},"stop":["x","\n\n"],
        "temperature":0.5,"top_p":0.9,"top_k":20,"min_p":0.1,"seed":1,"n":2})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"Rain?"},{"role":"assistant","content":null,
        "tool_calls":[{"id":"a","type":"function","function":{"name":"weather","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"a","content":"2"}],"tools":[{"type":"function","function":{
        "name":"weather","description":"Tells it.","parameters":{"type":"object","properties":{
        "city":{"type":"string","minLength":1},"days":{"type":"array","items":{"type":"integer"}}},
        "required":["city"],"additionalProperties":false}}},{"type":"web_search"}],
        "tool_choice":"auto","parallel_tool_calls":true,"reasoning_effort":"low"})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"x"}],"tools":[{"type":"function","function":{
        "name":"f","parameters":{"type":"object","properties":{"a":{"enum":[1,"b"]}}}}}],"tool_choice":
        {"type":"function","function":{"name":"f"}},"stream":true})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_schema",
        "json_schema":{"name":"n","strict":true,"schema":{"type":"object","properties":{"a":{"type":
        "number"},"b":{"anyOf":[{"type":"null"},{"$ref":"#/$defs/c"}]}},"$defs":{"c":{"type":"string",
        "pattern":"^a+$"}},"required":["a"]}}},"max_completion_tokens":50})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"x"}],"logprobs":true,"top_logprobs":2,"logit_bias":
        {"5":-100,"97":1.5},"mirostat":2,"mirostat_tau":3.0,"mirostat_eta":0.1,"penalty":"ai00",
        "order":"openai","max_tokens":8,"no_cache":true,"prediction":{"type":"content","content":"y"}})"},
      {"/v1/chat/completions",
       R"({"messages":[{"role":"user","content":"x"}],"functions":[{"name":"f","parameters":{}}],
        "function_call":"auto","chat_template_kwargs":{"enable_thinking":true},"stream":true})"},
      {"/v1/completions",
       R"({"prompt":"a","suffix":"b","max_tokens":4,"echo":false,"logprobs":2})"},
      {"/v1/completions",
       R"({"prompt":["a","b"],"n":2,"best_of":3,"echo":true,"logprobs":0,"max_tokens":3})"},
      {"/v1/completions",
       R"({"prompt":[[97,98],[99]],"stream":true,"grammar":"root ::= [a-z]+ \"x\""})"},
      {"/v1/completions", R"({"prompt":[97,98],"regex":"a(b|c)*","typical_p":0.5,"timeout":3})"}};
  return kRequests;
}

class Mutator {
 public:
  explicit Mutator(uint32_t seed) : random_(seed) {}

  size_t Pick(size_t count) { return random_() % count; }

  std::string Bytes(std::string body) {
    for (size_t i = Pick(4) + 1; i > 0; --i) {
      const size_t at = Pick(body.size() + 1);
      switch (Pick(6)) {
        case 0:
          if (at < body.size()) body[at] = static_cast<char>(Pick(256));
          break;
        case 1:
          body.erase(at, Pick(8));
          break;
        case 2:
          body.insert(at, body.substr(Pick(body.size() + 1), Pick(30)));
          break;
        case 3: {
          const std::string& other = Any().body;
          body.insert(at, other.substr(Pick(other.size()), Pick(60)));
          break;
        }
        case 4:
          body.insert(at, kTokens[Pick(std::size(kTokens))]);
          break;
        default:
          body.resize(at);
      }
    }
    return body;
  }

  // Puts another value in the place of one somewhere inside.
  std::string Values(const std::string& body) {
    Json json = Json::parse(body);
    for (size_t i = Pick(3) + 1; i > 0; --i) {
      Json* at = &json;
      while (at->is_structured() && !at->empty() && Pick(4) != 0) {
        auto child = at->begin();
        std::advance(child, Pick(at->size()));
        at = &*child;
      }
      if (at != &json) *at = Value();
    }
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

  const Request& Any() { return ValidRequests()[Pick(ValidRequests().size())]; }

 private:
  Json Value() {
    const Json kValues[] = {nullptr,
                            true,
                            false,
                            0,
                            1,
                            -1,
                            0.5,
                            1e308,
                            -1e308,
                            INT64_MAX,
                            INT64_MIN,
                            UINT64_MAX,
                            "",
                            "x",
                            "required",
                            "none",
                            std::string(3000, 'y'),
                            Json::array(),
                            Json::object(),
                            Json::array({1, "a", nullptr}),
                            Json({{"type", "function"}})};
    if (Pick(3) == 0) {  // a part of another request
      Json other = Json::parse(Any().body);
      auto child = other.begin();
      std::advance(child, Pick(other.size()));
      return *child;
    }
    return kValues[Pick(std::size(kValues))];
  }

  static constexpr const char* kTokens[] = {"null",
                                            "{",
                                            "}",
                                            "[",
                                            "]",
                                            "\"",
                                            "\\",
                                            "\\u0000",
                                            "\\ud83d",
                                            "1e999",
                                            "-",
                                            ",",
                                            ":",
                                            "\xff",
                                            "é",
                                            "[[[[[[[[",
                                            "999999999999999999999"};
  std::mt19937 random_;
};

void ExpectValid(const test::RecordedReply& reply, const std::string& body) {
  ASSERT_TRUE(reply.ended) << body;
  if (reply.status != 200) {
    EXPECT_GE(reply.status, 400) << body;
    EXPECT_LT(reply.status, 500) << body << reply.body;
    EXPECT_TRUE(Json::parse(reply.body)["error"]["message"].is_string()) << body;
    return;
  }
  if (!reply.streamed) {
    const Json answer = Json::parse(reply.body);
    EXPECT_FALSE(answer["choices"].empty()) << body;
    EXPECT_TRUE(answer["usage"]["total_tokens"].is_number()) << body;
    return;
  }
  const auto events = test::EventsOf(reply);
  EXPECT_EQ(events.back(), "[DONE]") << body;
  for (size_t i = 0; i + 1 < events.size(); ++i) EXPECT_TRUE(Json::parse(events[i]).is_object());
}

TEST(MutatedRequestsTest, EachIsAnsweredOrRefused) {
  test::ScriptedScheduler scheduler;
  Router router;
  std::vector<std::shared_ptr<const ServedModel>> models;
  for (const char* form : {"g1", "g1-headings", "world", "raven"}) {
    auto model = test::ScriptedModel(scheduler, form);
    model->name = form;
    models.push_back(std::move(model));
  }
  const auto served = std::make_shared<const ServedModels>(std::move(models));
  AddChat(router, served);
  AddCompletions(router, served);
  for (const Request& request : ValidRequests()) {
    Json body = Json::parse(request.body);
    body["model"] = "g1";
    const auto reply = test::Ask(router, "POST", request.path, body.dump());
    EXPECT_EQ(reply->status, 200) << request.body << reply->body;
    ExpectValid(*reply, request.body);
  }
  const char* const kTexts[] = {"Hello.",
                                ">hm</think>\n```json\n{\"name\": \"f\", \"arguments\": {}}",
                                "{\"name\": \"f\", \"arguments\": {\"a\": 1}}",
                                "",
                                "\n\n",
                                "é✿"};
  Mutator mutator(17);
  size_t answered = 0;
  constexpr int kRounds = 10'000;
  for (int round = 0; round < kRounds; ++round) {
    const Request& request = mutator.Any();
    scheduler.texts = {kTexts[mutator.Pick(std::size(kTexts))]};
    scheduler.piece_bytes = 100;
    scheduler.jobs.clear();
    const std::string body =
        mutator.Pick(2) == 0 ? mutator.Bytes(request.body) : mutator.Values(request.body);
    const auto reply = test::Ask(router, "POST", request.path, body);
    ExpectValid(*reply, body);
    answered += reply->status == 200 ? 1 : 0;
  }
  EXPECT_GT(answered, kRounds / 10);
  EXPECT_LT(answered, kRounds * 9 / 10);
}

}  // namespace
}  // namespace linnet
