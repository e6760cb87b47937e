// Ten thousand damaged requests: each gets a valid answer or is refused as the client's fault.
#include <gtest/gtest.h>

#include <random>

#include "server/ai00.h"
#include "server/anthropic_messages.h"
#include "server/choose.h"
#include "server/error_forms.h"
#include "server/json_fields.h"
#include "server/llama_completion.h"
#include "server/ollama.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/rerank.h"
#include "server/score.h"
#include "server/system_one.h"
#include "server/test_server.h"
#include "server/tokenizer_routes.h"

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
      {"/v1/completions", R"({"prompt":[97,98],"regex":"a(b|c)*","typical_p":0.5,"timeout":3})"},
      {"/completion",
       R"({"prompt":["a",98,"c"],"n_predict":4,"n_probs":2,"n_cmpl":2,"return_tokens":true,"id_slot":1,
        "response_fields":["content","generation_settings/seed","timings"],"stream":false})"},
      {"/completions",
       R"({"prompt":[[97],"b"],"n_predict":2,"stream":true,"timings_per_token":true,"n_probs":1})"},
      {"/tokenize",
       R"({"content":"a<|endoftext|>b","with_pieces":true,"add_special":true,"return_token_strs":true})"},
      {"/detokenize", R"({"tokens":[97,98.0,255]})"},
      {"/apply-template", R"({"messages":[{"role":"user","content":"x"}]})"},
      {"/v1/score", R"({"context":"a","continuations":["b",[99,100]],"top_logprobs":2})"},
      {"/v1/choose",
       R"({"input":["a","b"],"choices":["c",[100]],"calibrate":true,"normalize":"none"})"},
      {"/v1/rerank", R"({"query":"a","documents":["b",{"text":"c"}],"top_n":1})"},
      {"/v1/systemone",
       R"({"state":{"a":[1,null]},"questions":{"b":{"type":"noul","criteria":{"true":"c"}},"d":{"type":
        "choice","criteria":{"e":"f","g":null}},"h":{"type":"score","criteria":["i",3]}}})"},
      {"/api/oai/chat/completions",
       R"({"messages":[{"role":"User","content":"a\n\nb"}],"names":{"User":"Bob"},"template":{"record":
        "{role}{content}","prefix":"{assistant}","sep":""},"sampler":{"type":"Typical","tau":0.5},
        "stop":["x"],"bias":{"97":1},"state":"00000000-0000-0000-0000-000000000000"})"},
      {"/api/oai/completions",
       R"({"prompt":["a","b"],"stream":true,"sampler_override":{"type":"Mirostat","tau":3,"rate":0.1},
        "bnf_schema":"start ::= 'a';"})"},
      {"/api/oai/chooses", R"({"input":"a","choices":["b","c"],"calibrate":false})"},
      {"/api/oai/embeds", R"({"input":"a b c","max_tokens":2,"prefix":""})"},
      {"/v1/messages",
       R"({"max_tokens":20,"system":[{"type":"text","text":"x-anthropic-a: 1"},{"type":"text","text":
        "Be kind.","cache_control":{"type":"ephemeral"}}],"messages":[{"role":"user","content":"Rain?"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":""},{"type":
        "tool_use","id":"a","name":"f","input":{"a":1}}]},{"role":"user","content":[{"type":
        "tool_result","tool_use_id":"a","content":[{"type":"text","text":"2"}],"is_error":false},
        {"type":"text","text":"é"}]},{"role":"system","content":"3 left"}],"tools":[{"name":"f",
        "input_schema":{"type":"object","properties":{"a":{"enum":[1,"b"]}}}},{"type":"bash_20250124",
        "name":"bash"}],"tool_choice":{"type":"auto"},"thinking":{"type":"enabled","budget_tokens":
        1024},"stop_sequences":["x"],"stream":true})"},
      {"/v1/messages",
       R"({"model":"claude-x","messages":[{"role":"user","content":[{"type":"document","title":"t",
        "source":{"type":"text","data":"d"}}]}],"output_config":{"effort":"low","format":{"type":
        "json_schema","schema":{"type":"object"}}},"thinking":{"type":"adaptive","display":"omitted"}})"},
      {"/api/chat",
       R"({"messages":[{"role":"user","content":"Rain?"},{"role":"assistant","content":"","tool_calls":
        [{"function":{"name":"f","arguments":{"a":1}}}]},{"role":"tool","tool_name":"f","content":"2"}],
        "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"think":
        "low","keep_alive":"5m","options":{"temperature":0.5,"num_predict":20,"stop":["x"],"top_k":3}})"},
      {"/api/chat",
       R"({"messages":[{"role":"user","content":"x"}],"format":{"type":"object","properties":{"a":
        {"type":"integer"}}},"stream":false,"logprobs":true,"top_logprobs":2})"},
      {"/api/generate",
       R"({"prompt":"a","system":"b","context":[97,98],"format":"json","options":{"seed":1}})"},
      {"/api/generate",
       R"({"prompt":"a","system":"b","template":"{{ if .System }}{{ .System }}: {{ end }}{{ .Prompt }}",
        "stream":false})"},
      {"/api/generate", R"({"prompt":"a","suffix":"b","stream":false,"logprobs":true})"},
      {"/api/generate", R"({"prompt":"a","raw":true,"keep_alive":0})"}};
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

void ExpectValidAnswer(const test::RecordedReply& reply, ErrorForm form, const std::string& body) {
  const Json answer = Json::parse(reply.body);
  switch (form) {
    case ErrorForm::kOpenAi: {  // and llama-server's and Ai00's
      EXPECT_TRUE(answer.is_structured()) << body;
      if (answer.is_array() || !answer.contains("choices")) break;
      EXPECT_FALSE(answer["choices"].empty()) << body;
      const char* const total = answer["usage"].contains("total") ? "total" : "total_tokens";
      EXPECT_TRUE(answer["usage"][total].is_number()) << body;
      break;
    }
    case ErrorForm::kAnthropic:
      EXPECT_TRUE(answer["content"].is_array()) << body;
      EXPECT_TRUE(answer["usage"]["output_tokens"].is_number()) << body;
      break;
    case ErrorForm::kOllama:
      EXPECT_EQ(answer["done"], true) << body;
  }
}

void ExpectValidStream(const test::RecordedReply& reply, ErrorForm form, const std::string& body) {
  switch (form) {
    case ErrorForm::kOpenAi: {
      const auto events = test::EventsOf(reply);
      if (events.back() != "[DONE]") {
        EXPECT_TRUE(Json::parse(events.back()).is_object()) << body;
      }
      for (size_t i = 0; i + 1 < events.size(); ++i) {
        EXPECT_TRUE(Json::parse(events[i]).is_object());
      }
      break;
    }
    case ErrorForm::kAnthropic:
      EXPECT_EQ(reply.chunks.back(), "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
          << body;
      break;
    case ErrorForm::kOllama:
      for (const std::string& line : reply.chunks) {
        EXPECT_EQ(Json::parse(line)["done"], &line == &reply.chunks.back()) << body;
      }
  }
}

void ExpectValid(const test::RecordedReply& reply, ErrorForm form, const std::string& body) {
  ASSERT_TRUE(reply.ended) << body;
  if (reply.status != 200) {
    EXPECT_GE(reply.status, 400) << body;
    EXPECT_LT(reply.status, 500) << body << reply.body;
    const Json error = Json::parse(reply.body)["error"];
    EXPECT_TRUE((form == ErrorForm::kOllama ? error : error.at("message")).is_string()) << body;
  } else if (reply.streamed) {
    ExpectValidStream(reply, form, body);
  } else {
    ExpectValidAnswer(reply, form, body);
  }
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
  AddLlamaCompletion(router, served);
  AddTokenizerRoutes(router, served);
  AddScoreRoutes(router, served);
  AddChooseRoutes(router, served);
  AddRerankRoutes(router, served);
  AddSystemOneRoutes(router, served);
  AddAi00Texts(router, served);
  AddAi00Others(router, served);
  AddAnthropicRoutes(router, served);
  AddOllamaRoutes(router, served, {});
  for (const Request& request : ValidRequests()) {
    Json body = Json::parse(request.body);
    body["model"] = "g1";
    const auto reply = test::Ask(router, "POST", request.path, body.dump());
    EXPECT_EQ(reply->status, 200) << request.body << reply->body;
    ExpectValid(*reply, ErrorFormOf(request.path), request.body);
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
    ExpectValid(*reply, ErrorFormOf(request.path), body);
    answered += reply->status == 200 ? 1 : 0;
  }
  EXPECT_GT(answered, kRounds / 10);
  EXPECT_LT(answered, kRounds * 9 / 10);
}

}  // namespace
}  // namespace linnet
