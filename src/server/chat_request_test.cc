#include "server/chat_request.h"

#include <gtest/gtest.h>

#include "server/completion_request.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

// A request with these fields besides a message.
Json With(const std::string& fields) {
  Json body = Json::parse("{" + fields + "}");
  if (!body.contains("messages")) body["messages"] = {{{"role", "user"}, {"content", "Hi"}}};
  return body;
}

TEST(ChatRequestTest, RefusesWhatItCannotMeanAndNamesTheField) {
  const struct {
    const char* fields;
    const char* param;
  } kCases[] = {
      {R"("messages":[])", "messages"},
      {R"("messages":"hi")", "messages"},
      {R"("messages":[1])", "messages[0]"},
      {R"("messages":[{"content":"x"}])", "messages[0].role"},
      {R"("messages":[{"role":"robot","content":"x"}])", "messages[0].role"},
      {R"("messages":[{"role":"user"}])", "messages[0].content"},
      {R"("messages":[{"role":"user","content":1}])", "messages[0].content"},
      {R"("messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}])",
       "messages[0].content[0].type"},
      {R"("messages":[{"role":"user","content":[{"type":"text"}]}])",
       "messages[0].content[0].text"},
      {R"("messages":[{"role":"assistant","tool_calls":[{}]}])",
       "messages[0].tool_calls[0].function"},
      {R"("messages":[{"role":"assistant","tool_calls":[{"function":{"name":1}}]}])",
       "messages[0].tool_calls[0].function.name"},
      {R"("temperature":-1)", "temperature"},
      {R"("temperature":"hot")", "temperature"},
      {R"("top_p":1.5)", "top_p"},
      {R"("top_k":1.5)", "top_k"},
      {R"("mirostat":1)", "mirostat"},
      {R"("mirostat":2,"mirostat_tau":0)", "mirostat_tau"},
      {R"("penalty":"hard")", "penalty"},
      {R"("n":0)", "n"},
      {R"("n":129)", "n"},
      {R"("max_tokens":-2)", "max_tokens"},
      {R"("max_completion_tokens":"9")", "max_completion_tokens"},
      {R"("stop":[1])", "stop[0]"},
      {R"("stop":"")", "stop"},
      {R"("stop":{})", "stop"},
      {R"("seed":1.5)", "seed"},
      {R"("logit_bias":{"x":1})", "logit_bias"},
      {R"("logit_bias":{"5":"x"})", "logit_bias"},
      {R"("logit_bias":[[1]])", "logit_bias"},
      {R"("logprobs":3)", "logprobs"},
      {R"("top_logprobs":3)", "top_logprobs"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs"},
      {R"("stream":"yes")", "stream"},
      {R"("stream_options":{"include_usage":1})", "stream_options.include_usage"},
      {R"("response_format":{"type":"xml"})", "response_format.type"},
      {R"("response_format":{})", "response_format.type"},
      {R"("response_format":{"type":"json_schema"})", "response_format.schema"},
      {R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
       "response_format.json_schema.schema"},
      {R"("response_format":{"type":"json_object"},"grammar":"root ::= \"x\"")", "response_format"},
      {R"("grammar":"root ::= \"x\"","regex":"x")", "regex"},
      {R"("json_schema":"x")", "json_schema"},
      {R"("tools":{})", "tools"},
      {R"("tools":[{"type":"function"}])", "tools[0].name"},
      {R"("tools":[{"type":"function","function":{"name":"a b"}}])", "tools[0].function.name"},
      {R"("tools":[{"function":{"name":"a","parameters":1}}])", "tools[0].function.parameters"},
      {R"("tools":[{"function":{"name":"a"}},{"function":{"name":"a"}}])",
       "tools[1].function.name"},
      {R"("tool_choice":"required")", "tool_choice"},
      {R"("tool_choice":"some")", "tool_choice"},
      {R"("tools":[{"function":{"name":"a"}}],"tool_choice":{"function":{"name":"b"}})",
       "tool_choice"},
      {R"("reasoning_effort":"huge")", "reasoning_effort"},
      {R"("chat_template_kwargs":{"enable_thinking":"no"})",
       "chat_template_kwargs.enable_thinking"},
      {R"("prediction":{"type":"content"})", "prediction.content"},
      {R"("prediction":{"content":"x"})", "prediction.type"},
      {R"("modalities":["text","audio"])", "modalities"},
      {R"("prompt_cache_key":1)", "prompt_cache_key"},
      {R"("model":1)", "model"},
  };
  for (const auto& c : kCases) {
    try {
      ParseChat(With(c.fields));
      ADD_FAILURE() << c.fields;
    } catch (const RequestError& error) {
      EXPECT_EQ(error.status(), 400) << c.fields;
      EXPECT_EQ(error.param(), c.param) << c.fields << ": " << error.what();
    }
  }
}

TEST(ChatRequestTest, TakesAllFields) {
  const ChatRequest r = ParseChat(With(R"(
    "model":"m","temperature":0.5,"top_p":0.9,"top_k":-1,"min_p":0.1,"typical_p":0.8,
    "presence_penalty":0.1,"frequency_penalty":0.2,"penalty_decay":0.99,"penalty":"ai00",
    "order":"openai","mirostat":2,"mirostat_tau":4,"mirostat_eta":0.2,"seed":7,"n":2,
    "logit_bias":{"5":-100,"6":1.5},"logprobs":true,"top_logprobs":3,"stop":["a","b"],
    "max_completion_tokens":9,"max_tokens":8,"stream":true,"stream_options":{"include_usage":true},
    "no_cache":true,"t_max_predict_ms":50,"parallel_tool_calls":false,"reasoning_effort":"high",
    "prediction":{"type":"content","content":[{"type":"text","text":"x"}]},"user":"u","store":false,
    "metadata":{"a":"b"},"service_tier":"auto","prompt_cache_key":"k","unknown":{"a":[]},
    "messages":[{"role":"developer","content":"Be kind."},
      {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}],"name":"Ann"},
      {"role":"assistant","content":null,"reasoning":"hm","tool_calls":[{"id":"c","type":"function",
        "function":{"name":"f","arguments":"{\"x\":1}"}}]},
      {"role":"tool","tool_call_id":"c","content":"2"}],
    "tools":[{"type":"web_search"},{"type":"function","function":{"name":"f","description":"d",
      "strict":true,"parameters":{"type":"object"}}}],
    "tool_choice":{"type":"function","function":{"name":"f"}})"));
  const GenerationFields& g = r.generation;
  EXPECT_EQ(r.model, "m");
  EXPECT_EQ(g.temperature, 0.5f);
  EXPECT_EQ(g.top_k, 0);
  EXPECT_EQ(g.typical, 0.8f);
  EXPECT_EQ(g.penalty_decay, 0.99f);
  EXPECT_EQ(g.penalty, PenaltyKind::kAi00);
  EXPECT_EQ(g.order, SamplingOrder::kOpenAI);
  ASSERT_TRUE(g.mirostat);
  EXPECT_EQ(g.mirostat->tau, 4);
  EXPECT_EQ(g.seed, 7u);
  EXPECT_EQ(g.choices, 2u);
  EXPECT_EQ(g.logit_bias, (std::map<int32_t, float>{{5, -100.0f}, {6, 1.5f}}));
  EXPECT_EQ(g.top_logprobs, 3u);
  EXPECT_EQ(g.stops, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(g.max_tokens, 9u);
  EXPECT_FALSE(g.use_cache);
  EXPECT_EQ(g.timeout, std::chrono::milliseconds(50));
  EXPECT_TRUE(r.stream && r.stream_usage);
  EXPECT_FALSE(r.parallel_calls);
  EXPECT_EQ(r.thinking, Thinking::kLot);
  ASSERT_EQ(r.messages.size(), 4u);
  EXPECT_EQ(r.messages[0].role, ChatRole::kSystem);
  EXPECT_EQ(r.messages[1].text, "a\nb");
  EXPECT_EQ(r.messages[2].thoughts, "hm");
  EXPECT_EQ(r.messages[2].calls[0].arguments, "{\"x\":1}");
  EXPECT_EQ(r.messages[3].call_id, "c");
  ASSERT_EQ(r.tools.size(), 1u);
  EXPECT_TRUE(r.tools[0].strict);
  EXPECT_EQ(r.tool_choice.kind, ToolChoice::Kind::kNamed);
}

TEST(ChatRequestTest, OldAndOtherFormsMeanTheSame) {
  const ChatRequest old = ParseChat(With(R"("functions":[{"name":"f"}],"function_call":{"name":"f"},
    "messages":[{"role":"assistant","content":"","function_call":{"name":"f","arguments":{"x":1}}},
      {"role":"function","name":"f","content":"2"}])"));
  EXPECT_EQ(old.tools.size(), 1u);
  EXPECT_EQ(old.tool_choice.kind, ToolChoice::Kind::kNamed);
  EXPECT_EQ(old.messages[0].calls[0].arguments, "{\"x\":1}");
  EXPECT_EQ(old.messages[1].role, ChatRole::kTool);
  // Flat tools, as responses have them.
  EXPECT_EQ(ParseChat(With(R"("tools":[{"type":"function","name":"f","parameters":{}}])"))
                .tools[0]
                .parameters,
            "");
  EXPECT_EQ(ParseChat(With(R"("chat_template_kwargs":{"enable_thinking":false})")).thinking,
            Thinking::kOff);
  EXPECT_EQ(ParseChat(With(R"("chat_template_kwargs":{"enable_thinking":true})")).thinking,
            Thinking::kOn);
  EXPECT_EQ(ParseChat(With(R"("reasoning":{"effort":"low"})")).thinking, Thinking::kBit);
  EXPECT_EQ(ParseChat(With(R"("reasoning_effort":"none")")).thinking, Thinking::kOff);
  EXPECT_EQ(ParseChat(With(R"("seed":-1)")).generation.seed, std::nullopt);
  EXPECT_EQ(ParseChat(With(R"("logit_bias":[[5,false]])")).generation.logit_bias.at(5),
            -std::numeric_limits<float>::infinity());
  EXPECT_EQ(ParseChat(With(R"("n_predict":-1)")).generation.max_tokens, std::nullopt);
  const auto format = ParseChat(
      With(R"("response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{}}})"));
  EXPECT_EQ(format.generation.format.kind, OutputFormat::Kind::kJsonSchema);
}

TEST(CompletionRequestTest, RefusesWhatItCannotMean) {
  const struct {
    const char* body;
    const char* param;
  } kCases[] = {{R"({})", "prompt"},
                {R"({"prompt":1})", "prompt"},
                {R"({"prompt":[]})", "prompt"},
                {R"({"prompt":["a",1]})", "prompt"},
                {R"({"prompt":[1,"a"]})", "prompt"},
                {R"({"prompt":[-1]})", "prompt"},
                {R"({"prompt":[1],"suffix":"x"})", "suffix"},
                {R"({"prompt":"a","best_of":1,"n":2})", "best_of"},
                {R"({"prompt":"a","best_of":2,"stream":true})", "best_of"},
                {R"({"prompt":"a","logprobs":21})", "logprobs"},
                {R"({"prompt":"a","echo":1})", "echo"}};
  for (const auto& c : kCases) {
    try {
      ParseCompletion(Json::parse(c.body));
      ADD_FAILURE() << c.body;
    } catch (const RequestError& error) {
      EXPECT_EQ(error.param(), c.param) << c.body << ": " << error.what();
    }
  }
  const auto r = ParseCompletion(Json::parse(R"({"prompt":[[1,2],"x",[]],"n":2,"best_of":3,
    "logprobs":0,"echo":true})"));
  ASSERT_EQ(r.prompts.size(), 3u);
  EXPECT_EQ(r.prompts[0].ids, (std::vector<int32_t>{1, 2}));
  EXPECT_EQ(r.prompts[1].text, "x");
  EXPECT_TRUE(r.prompts[2].is_ids);
  EXPECT_TRUE(r.generation.logprobs);
  EXPECT_EQ(r.generation.top_logprobs, 0u);
  EXPECT_EQ(r.best_of, 3u);
}

}  // namespace
}  // namespace linnet
