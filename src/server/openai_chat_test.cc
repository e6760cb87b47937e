#include "server/openai_chat.h"

#include <gtest/gtest.h>

#include <regex>

#include "server/json_fields.h"
#include "server/openai_completions.h"
#include "server/openai_errors.h"
#include "server/test_server.h"

namespace linnet {
namespace {

using test::Ask;
using test::EventsOf;

// A server whose model writes what a test says.
struct Bench : test::ScriptedServer {
  explicit Bench(const std::string& chat_template = "world") : ScriptedServer(chat_template) {
    AddChat(router, models);
    AddCompletions(router, models);
  }

  std::shared_ptr<test::RecordedReply> Chat(const std::string& fields) {
    std::string body = "{" + fields;
    if (fields.find("\"messages\"") == std::string::npos) {
      body +=
          std::string(fields.empty() ? "" : ",") + R"("messages":[{"role":"user","content":"Hi"}])";
    }
    return Ask(router, "POST", "/v1/chat/completions", body + "}");
  }
  std::shared_ptr<test::RecordedReply> Complete(const std::string& body) {
    return Ask(router, "POST", "/v1/completions", body);
  }
};

// Without what differs from one answer to the next.
std::string Fixed(const std::string& answer) {
  std::string fixed =
      std::regex_replace(answer, std::regex("(chatcmpl|cmpl|call)[-_][0-9A-Za-z]{24}"), "$1-ID");
  return std::regex_replace(fixed, std::regex("\"created\":[0-9]+"), "\"created\":0");
}

constexpr const char* kHead =
    R"({"id":"chatcmpl-ID","object":"chat.completion.chunk","created":0,"model":"tiny",)"
    R"("system_fingerprint":"fp_linnet","choices":[{"index":0,"delta":)";

// The chunks of a stream of one choice: their deltas and finish reasons.
std::vector<std::string> DeltasOf(const test::RecordedReply& reply) {
  std::vector<std::string> deltas;
  for (const std::string& event : EventsOf(reply)) {
    const std::string chunk = Fixed(event);
    if (!chunk.starts_with(kHead)) {
      deltas.push_back(chunk);
      continue;
    }
    std::string delta = chunk.substr(std::string_view(kHead).size());
    const size_t rest = delta.find(",\"logprobs\":null,\"finish_reason\":null}]}");
    deltas.push_back(delta.substr(0, rest));
  }
  return deltas;
}

using Lines = std::vector<std::string>;

TEST(OpenAiChatTest, AnswersWhole) {
  Bench bench;
  bench.scheduler.texts = {" Hello."};
  bench.scheduler.cached = 3;
  const auto reply = bench.Chat(R"("model":"tiny")");
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->content_type, "application/json");
  EXPECT_EQ(Fixed(reply->body),
            R"({"id":"chatcmpl-ID","object":"chat.completion","created":0,"model":"tiny",)"
            R"("system_fingerprint":"fp_linnet","choices":[{"index":0,"message":)"
            R"({"role":"assistant","content":"Hello.","refusal":null},"logprobs":null,)"
            R"("finish_reason":"stop"}],"usage":{"prompt_tokens":20,"completion_tokens":7,)"
            R"("total_tokens":27,"prompt_tokens_details":{"cached_tokens":3},)"
            R"("completion_tokens_details":{"reasoning_tokens":0,"accepted_prediction_tokens":0,)"
            R"("rejected_prediction_tokens":0}}})");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(bench.scheduler.jobs[0].marks, (std::vector<size_t>{10}));
  EXPECT_EQ(bench.scheduler.jobs[0].text.stops, (Lines{"\n\nUser:"}));
  EXPECT_EQ(reply->tokens, 27u);
}

TEST(OpenAiChatTest, StreamsChunksWithOneHeadAndUsageAtTheEnd) {
  Bench bench;
  bench.scheduler.texts = {" Hé."};
  bench.scheduler.piece_bytes = 4;
  const auto reply =
      bench.Chat(R"("stream":true,"stream_options":{"include_usage":true},"max_tokens":9)");
  EXPECT_EQ(reply->content_type, "text/event-stream");
  Lines events = EventsOf(*reply);
  ASSERT_EQ(events.size(), 6u);
  const auto id = [](const std::string& event) { return event.substr(0, 80); };
  for (size_t i = 0; i + 1 < events.size(); ++i) EXPECT_EQ(id(events[i]), id(events[0]));
  const std::string head = kHead;
  const std::string tail = R"(,"logprobs":null,"finish_reason":null}],"usage":null})";
  EXPECT_EQ(Fixed(events[0]), head + R"({"role":"assistant","content":""})" + tail);
  EXPECT_EQ(Fixed(events[1]), head + R"({"content":"Hé"})" + tail);
  EXPECT_EQ(Fixed(events[2]), head + R"({"content":"."})" + tail);
  EXPECT_EQ(Fixed(events[3]),
            head + R"({},"logprobs":null,"finish_reason":"stop"}],"usage":null})");
  const Json last = Json::parse(events[4]);
  EXPECT_EQ(last["choices"], Json::array());
  EXPECT_EQ(last["usage"]["completion_tokens"], 2);
  EXPECT_EQ(events[5], "[DONE]");
}

TEST(OpenAiChatTest, ThoughtsHaveTheirOwnFields) {
  Bench bench("g1");
  bench.scheduler.texts = {">\nhm\n</think>\nHello."};
  bench.scheduler.piece_bytes = 30;
  auto reply = bench.Chat(R"("stream":true)");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant: <think");
  EXPECT_EQ(DeltasOf(*reply),
            (Lines{R"({"role":"assistant","content":""})",
                   R"({"reasoning_content":"hm","reasoning":"hm"})", R"({"content":"Hello."})",
                   R"({},"logprobs":null,"finish_reason":"stop"}]})", "[DONE]"}));
  bench.scheduler.piece_bytes = 1;
  reply = bench.Chat("");
  const Json answer = Json::parse(reply->body);
  const Json& message = answer["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "hm");
  EXPECT_EQ(message["reasoning"], "hm");
  EXPECT_EQ(message["content"], "Hello.");
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 13);
  // Both fields come back in the history, where thoughts are dropped.
  for (const char* name : {"reasoning", "reasoning_content"}) {
    bench.Chat(R"("messages":[{"role":"user","content":"a"},{"role":"assistant",")" +
               std::string(name) + R"(":"hm","content":"b"},{"role":"user","content":"c"}])");
    EXPECT_EQ(bench.Prompt(), "User: a\n\nAssistant: b\n\nUser: c\n\nAssistant: <think");
  }
}

TEST(OpenAiChatTest, EffortIsAWishOfG1) {
  Bench bench("g1");
  const struct {
    const char* fields;
    const char* prompt;
  } kCases[] = {
      {R"("reasoning_effort":"none")", "User: Hi\n\nAssistant: <think>\n</think"},
      {R"("reasoning_effort":"minimal")", "User: Hi (think a bit)\n\nAssistant: <think"},
      {R"("reasoning_effort":"low")", "User: Hi (think a bit)\n\nAssistant: <think"},
      {R"("reasoning_effort":"medium")", "User: Hi (think)\n\nAssistant: <think"},
      {R"("reasoning_effort":"high")", "User: Hi (think a lot)\n\nAssistant: <think"},
      {R"("reasoning_effort":"xhigh")", "User: Hi (think a lot)\n\nAssistant: <think"},
      {R"("reasoning_effort":"max")", "User: Hi (think a lot)\n\nAssistant: <think"},
      {R"("chat_template_kwargs":{"enable_thinking":false})",
       "User: Hi\n\nAssistant: <think>\n</think"},
      {R"("chat_template_kwargs":{"enable_thinking":true})", "User: Hi\n\nAssistant: <think"}};
  for (const auto& c : kCases) {
    bench.Chat(c.fields);
    EXPECT_EQ(bench.Prompt(), c.prompt) << c.fields;
  }
  // Models that do not think take no notice.
  Bench raven("raven");
  raven.Chat(R"("reasoning_effort":"high")");
  EXPECT_EQ(raven.Prompt(), "Bob: Hi\n\nAlice:");
}

constexpr const char* kTools =
    R"("tools":[{"type":"function","function":{"name":"weather","description":"Tells it.",
       "parameters":{"type":"object","properties":{"city":{"type":"string"}},
       "required":["city"]}}}])";

TEST(OpenAiChatTest, CallsAreStreamedAsNameAndPieces) {
  Bench bench;
  bench.scheduler.texts = {
      " Well.\n```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```"};
  bench.scheduler.piece_bytes = 16;
  const auto reply = bench.Chat(std::string(kTools) + R"(,"stream":true)");
  EXPECT_EQ(bench.Prompt(),
            "System: Tools:\n- weather(city: string): Tells it.\nReturn only a JSON function call "
            "if a function is needed.\n\nUser: Hi\n\nAssistant:");
  EXPECT_NE(bench.scheduler.jobs[0].grammar, nullptr);
  const Lines deltas = DeltasOf(*reply);
  ASSERT_GE(deltas.size(), 6u);
  EXPECT_EQ(deltas[1], R"({"content":"Well."})");
  EXPECT_EQ(deltas[2], R"({"tool_calls":[{"index":0,"id":"call-ID","type":"function",)"
                       R"("function":{"name":"weather","arguments":""}}]})");
  std::string arguments;
  for (size_t i = 3; i + 2 < deltas.size(); ++i) {
    const Json call = Json::parse(deltas[i])["tool_calls"][0];
    EXPECT_EQ(call["index"], 0);
    EXPECT_FALSE(call.contains("id"));
    arguments += call["function"]["arguments"].get<std::string>();
  }
  EXPECT_EQ(arguments, "{\"city\": \"Oslo\"}");
  EXPECT_EQ(deltas[deltas.size() - 2], R"({},"logprobs":null,"finish_reason":"tool_calls"}]})");
}

TEST(OpenAiChatTest, ARequiredCallIsPrefilledGreedyAndWhole) {
  Bench bench;
  bench.model->chat_sampling.temperature = 1;
  bench.scheduler.texts = {
      "[{\"name\": \"weather\", \"arguments\": {\"city\": \"A\"}}, "
      "{\"name\": \"weather\", \"arguments\": {\"city\": \"B\"}}]"};
  const auto reply = bench.Chat(std::string(kTools) + R"(,"tool_choice":"required")");
  EXPECT_TRUE(bench.Prompt().ends_with("Assistant: ```json\n"));
  EXPECT_EQ(bench.scheduler.jobs[0].sampler.temperature, 0);
  EXPECT_EQ(bench.scheduler.jobs[0].sampler.presence_penalty, 0);
  const Json choice = Json::parse(reply->body)["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["message"]["content"].is_null());
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 2u);
  EXPECT_EQ(choice["message"]["tool_calls"][1]["function"]["arguments"], "{\"city\": \"B\"}");
  // One that max_tokens cuts says so.
  const Json cut = Json::parse(
      bench.Chat(std::string(kTools) + R"(,"tool_choice":"required","max_tokens":40)")->body);
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "length");
  // Without a choice there are no tools.
  bench.scheduler.texts = {"```json\n{\"name\": \"weather\"}"};
  const Json none = Json::parse(bench.Chat(std::string(kTools) + R"(,"tool_choice":"none")")->body);
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(bench.scheduler.jobs.back().grammar, nullptr);
  EXPECT_EQ(none["choices"][0]["message"]["content"], "```json\n{\"name\": \"weather\"}");
}

TEST(OpenAiChatTest, OldFunctionsAreAnsweredInTheirForm) {
  Bench bench;
  bench.scheduler.texts = {"{\"name\": \"f\", \"arguments\": {}}"};
  const std::string fields = R"("functions":[{"name":"f"}],"function_call":{"name":"f"})";
  const Json choice = Json::parse(bench.Chat(fields)->body)["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "function_call");
  EXPECT_EQ(choice["message"]["function_call"], Json({{"name", "f"}, {"arguments", "{}"}}));
  const Lines deltas = DeltasOf(*bench.Chat(fields + R"(,"stream":true)"));
  EXPECT_EQ(deltas[1], R"({"function_call":{"name":"f","arguments":""}})");
  EXPECT_EQ(deltas.end()[-2], R"({},"logprobs":null,"finish_reason":"function_call"}]})");
}

TEST(OpenAiChatTest, ResponseFormatsBindTheText) {
  Bench bench;
  bench.scheduler.texts = {"{\"a\": 1}"};
  for (
      const char* fields :
      {R"("response_format":{"type":"json_object"})",
       R"("response_format":{"type":"json_schema","json_schema":{"name":"x","schema":{"type":"object"}}})",
       R"("json_schema":{"type":"object"})"}) {
    const auto reply = bench.Chat(fields);
    EXPECT_EQ(Json::parse(reply->body)["choices"][0]["message"]["content"], "{\"a\": 1}") << fields;
    EXPECT_NE(bench.scheduler.jobs.back().grammar, nullptr);
    EXPECT_TRUE(bench.Prompt().ends_with("Assistant: ```json\n"));
  }
  bench.scheduler.texts = {" yes"};
  const auto reply = bench.Chat(R"("grammar":"root ::= \" yes\" | \" no\"")");
  EXPECT_EQ(Json::parse(reply->body)["choices"][0]["message"]["content"], " yes");
  EXPECT_TRUE(bench.Prompt().ends_with("Assistant:"));
  const auto bad = bench.Chat(R"("response_format":{"type":"json_schema","json_schema":{
    "name":"x","schema":{"type":"thing"}}})");
  EXPECT_EQ(bad->status, 400);
  EXPECT_EQ(Json::parse(bad->body)["error"]["param"], "response_format.json_schema.schema");
}

TEST(OpenAiChatTest, ChoicesAndLogprobs) {
  Bench bench;
  bench.scheduler.texts = {"ab", "c"};
  const auto reply = bench.Chat(R"("n":2,"logprobs":true,"top_logprobs":1,"seed":5)");
  EXPECT_EQ(bench.scheduler.jobs[0].choices, 2u);
  EXPECT_EQ(bench.scheduler.jobs[0].sampler.seed, 5u);
  const Json choices = Json::parse(reply->body)["choices"];
  ASSERT_EQ(choices.size(), 2u);
  EXPECT_EQ(choices[1]["message"]["content"], "c");
  EXPECT_EQ(choices[0]["logprobs"]["content"][1],
            Json::parse(R"({"token":"b","logprob":-0.25,"bytes":[98],
              "top_logprobs":[{"token":"a","logprob":-1.0,"bytes":[97]}]})"));
  // In a stream each token comes with its text.
  const auto streamed = bench.Chat(R"("logprobs":true,"stream":true)");
  std::string text;
  for (const std::string& event : EventsOf(*streamed)) {
    if (event == "[DONE]") continue;
    const Json choice = Json::parse(event)["choices"][0];
    if (choice["logprobs"].is_null()) continue;
    for (const Json& token : choice["logprobs"]["content"]) text += token["token"];
    EXPECT_EQ(choice["delta"]["content"], choice["logprobs"]["content"][0]["token"]);
  }
  EXPECT_EQ(text, "ab");
}

TEST(OpenAiChatTest, ErrorsHaveOpenAisForm) {
  Bench bench;
  EXPECT_EQ(bench.Chat(R"("model":"gpt-9")")->body,
            R"({"error":{"message":"no model 'gpt-9'; served: tiny","type":"not_found_error",)"
            R"("param":"model","code":"model_not_found"}})");
  EXPECT_EQ(bench.Chat(R"("model":"gpt-9")")->status, 404);
  EXPECT_EQ(Ask(bench.router, "POST", "/v1/chat/completions", "{")->status, 400);
  EXPECT_EQ(Ask(bench.router, "GET", "/v1/chat/completions")->status, 405);
  EXPECT_EQ(bench.Chat(R"("logit_bias":{"256":1})")->status, 400);
  Bench raven("raven");
  const auto tools = raven.Chat(kTools);
  EXPECT_EQ(tools->status, 422);
  EXPECT_EQ(Json::parse(tools->body)["error"]["param"], "tools");
  bench.scheduler.refuse = [] { throw Error(ErrorKind::kBusy, "the queue is full"); };
  const auto busy = bench.Chat(R"("stream":true)");
  EXPECT_EQ(busy->status, 429);
  EXPECT_EQ(busy->headers, (HttpHeaders{{"retry-after", "2"}}));
}

TEST(OpenAiChatTest, AnErrorInAStreamIsItsLastEvent) {
  Bench bench;
  bench.scheduler.holds = true;
  const auto early = bench.Chat(R"("stream":true)");
  bench.scheduler.held[0].listener->OnError(Error(ErrorKind::kBusy, "too late"));
  EXPECT_EQ(early->status, 429);
  const auto late = bench.Chat(R"("stream":true)");
  bench.scheduler.held[1].listener->OnStart();
  bench.scheduler.held[1].listener->OnError(Error(ErrorKind::kNoMemory, "no room"));
  EXPECT_EQ(late->status, 200);
  EXPECT_TRUE(late->ended);
  EXPECT_EQ(Json::parse(EventsOf(*late).back())["error"]["message"], "no room");
}

TEST(OpenAiChatTest, AClientThatLeavesCancelsItsJob) {
  Bench bench;
  bench.scheduler.holds = true;
  const auto reply = bench.Chat(R"("stream":true)");
  EXPECT_TRUE(bench.scheduler.cancelled.empty());
  reply->Leave();
  EXPECT_EQ(bench.scheduler.cancelled, (std::vector<uint64_t>{1}));
  // Also while its other prompts are queued.
  const auto two = bench.Complete(R"({"prompt":["a","b"]})");
  two->Leave();
  EXPECT_EQ(bench.scheduler.cancelled, (std::vector<uint64_t>{1, 2, 3}));
}

TEST(OpenAiChatTest, ALastMessageOfTheAssistantIsContinued) {
  Bench bench;
  bench.scheduler.texts = {" goes."};
  const auto reply = bench.Chat(
      R"("messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"So it"}])");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant: So it");
  EXPECT_EQ(Json::parse(reply->body)["choices"][0]["message"]["content"], " goes.");
}

TEST(OpenAiCompletionsTest, AnswersPromptsOfEveryForm) {
  Bench bench;
  bench.scheduler.texts = {"xy"};
  const auto reply = bench.Complete(R"({"prompt":"ab","max_tokens":1,"echo":true})");
  EXPECT_EQ(
      Fixed(reply->body),
      R"({"id":"cmpl-ID","object":"text_completion","created":0,"model":"tiny",)"
      R"("system_fingerprint":"fp_linnet","choices":[{"text":"abx","index":0,"logprobs":null,)"
      R"("finish_reason":"length"}],"usage":{"prompt_tokens":2,"completion_tokens":1,)"
      R"("total_tokens":3,"prompt_tokens_details":{"cached_tokens":0},)"
      R"("completion_tokens_details":{"reasoning_tokens":0,"accepted_prediction_tokens":0,)"
      R"("rejected_prediction_tokens":0}}})");
  const Json many = Json::parse(bench.Complete(R"({"prompt":["a","b"],"n":2})")->body);
  ASSERT_EQ(many["choices"].size(), 4u);
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(many["choices"][i]["index"], i);
  EXPECT_EQ(many["usage"]["completion_tokens"], 8);
  const Json ids = Json::parse(bench.Complete(R"({"prompt":[97,98],"echo":true})")->body);
  EXPECT_EQ(ids["choices"][0]["text"], "abxy");
  EXPECT_EQ(Json::parse(bench.Complete(R"({"prompt":[[97],[98]]})")->body)["choices"].size(), 2u);
  EXPECT_EQ(bench.Complete(R"({"prompt":[256]})")->status, 400);
  EXPECT_EQ(bench.Complete(R"({"prompt":"a","model":"no"})")->status, 404);
}

TEST(OpenAiCompletionsTest, TellsLogprobsWithOffsets) {
  Bench bench;
  bench.scheduler.texts = {"xy"};
  const Json choice = Json::parse(
      bench.Complete(R"({"prompt":"éa","echo":true,"logprobs":1})")->body)["choices"][0];
  const Json& logprobs = choice["logprobs"];
  EXPECT_EQ(choice["text"], "éaxy");
  EXPECT_EQ(logprobs["token_logprobs"], Json::parse("[null,-0.5,-0.5,-0.25,-0.25]"));
  EXPECT_EQ(logprobs["text_offset"], Json::parse("[0,1,1,2,3]"));
  EXPECT_EQ(logprobs["top_logprobs"][3], Json::parse(R"({"a":-1.0})"));
  EXPECT_TRUE(bench.scheduler.jobs[0].score_prompt);
  // Without echo the prompt counts, and is not scored.
  const Json plain = Json::parse(bench.Complete(R"({"prompt":"éa","logprobs":0})")->body);
  EXPECT_EQ(plain["choices"][0]["logprobs"]["text_offset"], Json::parse("[2,3]"));
  EXPECT_FALSE(bench.scheduler.jobs[1].score_prompt);
  // Scoring alone.
  const Json scored = Json::parse(
      bench.Complete(R"({"prompt":"ab","echo":true,"logprobs":0,"max_tokens":0})")->body);
  EXPECT_EQ(scored["choices"][0]["logprobs"]["tokens"], Json::parse(R"(["a","b"])"));
}

// lm-evaluation-harness asks for one token more than it scores, and drops the last place.
TEST(OpenAiCompletionsTest, TheTokenThatEndsATextHasAPlace) {
  Bench bench;
  bench.scheduler.texts = {""};
  bench.scheduler.tells_stops = true;
  const std::string body = R"({"prompt":[[97,98,99],[97]],"echo":true,"logprobs":1,"max_tokens":1)";
  const Json answer = Json::parse(bench.Complete(body + "}")->body);
  const Json& logprobs = answer["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["token_logprobs"], Json::parse("[null,-0.5,-0.5,-0.125]"));
  EXPECT_EQ(logprobs["text_offset"], Json::parse("[0,1,2,3]"));
  EXPECT_EQ(answer["choices"][1]["logprobs"]["token_logprobs"], Json::parse("[null,-0.125]"));
  EXPECT_EQ(answer["choices"][0]["text"], "abc");
  const auto events = EventsOf(*bench.Complete(body + R"(,"stream":true})"));
  const Json last = Json::parse(events[events.size() - 2])["choices"][0];
  EXPECT_EQ(last["finish_reason"], "stop");
  EXPECT_EQ(last["logprobs"]["token_logprobs"], Json::parse("[-0.125]"));
}

TEST(OpenAiCompletionsTest, BestOfGivesTheLikeliest) {
  Bench bench;
  bench.scheduler.texts = {"aaaa", "bb", "c"};  // each choice is less likely than the one before
  const Json best = Json::parse(bench.Complete(R"({"prompt":"x","best_of":3,"n":2})")->body);
  EXPECT_EQ(bench.scheduler.jobs[0].choices, 3u);
  ASSERT_EQ(best["choices"].size(), 2u);
  EXPECT_EQ(best["choices"][0]["text"], "aaaa");
  EXPECT_EQ(best["choices"][1]["text"], "bb");
  EXPECT_TRUE(best["choices"][0]["logprobs"].is_null());
}

TEST(OpenAiCompletionsTest, ASuffixIsAskedForInG1sOrder) {
  Bench bench;
  bench.scheduler.texts = {"middle✿ more"};
  const Json answer = Json::parse(bench.Complete(R"({"prompt":"a","suffix":"z"})")->body);
  EXPECT_EQ(bench.Prompt(), "✿prefix✿✿suffix✿z✿middle✿a");
  EXPECT_EQ(answer["choices"][0]["text"], "middle");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
}

TEST(OpenAiCompletionsTest, Streams) {
  Bench bench;
  bench.scheduler.texts = {"xy", "z"};
  const auto reply = bench.Complete(
      R"({"prompt":"a","n":2,"stream":true,"echo":true,"stream_options":{"include_usage":true}})");
  std::vector<std::string> texts(2), reasons(2);
  size_t usages = 0;
  for (const std::string& event : EventsOf(*reply)) {
    if (event == "[DONE]") continue;
    const Json chunk = Json::parse(event);
    EXPECT_EQ(chunk["object"], "text_completion");
    usages += chunk["usage"].is_null() ? 0 : 1;
    for (const Json& choice : chunk["choices"]) {
      texts[choice["index"]] += choice["text"];
      if (!choice["finish_reason"].is_null()) reasons[choice["index"]] = choice["finish_reason"];
    }
  }
  EXPECT_EQ(texts, (Lines{"axy", "az"}));
  EXPECT_EQ(reasons, (Lines{"stop", "stop"}));
  EXPECT_EQ(usages, 1u);
  EXPECT_EQ(EventsOf(*reply).back(), "[DONE]");
}

TEST(OpenAiCompletionsTest, ARefusedPromptEndsTheOthers) {
  Bench bench;
  bench.scheduler.holds = true;
  size_t count = 0;
  bench.scheduler.refuse = [&] {
    if (++count == 3) throw Error(ErrorKind::kBusy, "the queue is full");
  };
  const auto reply = bench.Complete(R"({"prompt":["a","b","c"]})");
  EXPECT_EQ(reply->status, 429);
  EXPECT_EQ(bench.scheduler.cancelled, (std::vector<uint64_t>{1, 2}));
}

}  // namespace
}  // namespace linnet
