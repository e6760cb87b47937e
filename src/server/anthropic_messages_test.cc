#include "server/anthropic_messages.h"

#include <gtest/gtest.h>

#include <regex>
#include <string>
#include <vector>

#include "server/anthropic_request.h"
#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/test_server.h"
#include "server/test_service.h"

namespace linnet {
namespace {

using test::Service;
using Lines = std::vector<std::string>;

struct MessagesBench : test::ScriptedServer {
  explicit MessagesBench(const std::string& chat_template = "world")
      : ScriptedServer(chat_template) {
    AddAnthropicRoutes(router, models);
  }

  // Asks "Hi" unless the fields have messages.
  std::shared_ptr<test::RecordedReply> Ask(const std::string& fields,
                                           const std::string& path = "/v1/messages") const {
    std::string body = "{" + fields;
    if (fields.find("\"messages\"") == std::string::npos) {
      body +=
          std::string(fields.empty() ? "" : ",") + R"("messages":[{"role":"user","content":"Hi"}])";
    }
    return test::Ask(router, "POST", path, body + "}");
  }
  Json Answer(const std::string& fields) const {
    const auto reply = Ask(fields);
    EXPECT_EQ(reply->status, 200) << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }
};

// Without what differs from one answer to the next.
std::string WithoutIds(const std::string& answer) {
  return std::regex_replace(answer, std::regex("(msg|toolu)_[0-9A-Za-z]{24}"), "$1-ID");
}

// The events of a stream, each as it is after "event: ".
Lines EventsOfMessage(const test::RecordedReply& reply) {
  Lines events = test::EventsOf(reply);
  for (std::string& event : events) {
    EXPECT_TRUE(event.starts_with("event: ")) << event;
    const size_t line = event.find('\n');
    const std::string type = event.substr(7, line - 7);
    const std::string head = "\ndata: {\"type\":\"" + type + "\"";
    EXPECT_TRUE(event.substr(line).starts_with(head)) << event;
    std::string rest = event.substr(line + head.size());
    if (rest.starts_with(',')) rest.erase(0, 1);
    rest.resize(rest.size() - 1);
    event = WithoutIds(type + (rest.empty() ? "" : " " + rest));
  }
  return events;
}

constexpr const char* kOffered =
    R"("tools":[{"name":"weather","description":"Tells it.","input_schema":{"type":"object",
       "properties":{"city":{"type":"string"}},"required":["city"]}},
       {"type":"web_search_20250305","name":"web_search"}])";

TEST(AnthropicMessagesTest, AnswersWhole) {
  MessagesBench bench;
  bench.scheduler.texts = {" Hello."};
  bench.scheduler.cached = 3;
  bench.scheduler.kept = 10;
  const auto reply = bench.Ask(R"("model":"tiny","max_tokens":50)");
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(WithoutIds(reply->body),
            R"({"id":"msg-ID","type":"message","role":"assistant","model":"tiny",)"
            R"("content":[{"type":"text","text":"Hello."}],"stop_reason":"end_turn",)"
            R"("stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":7,)"
            R"("cache_read_input_tokens":3,"output_tokens":7,)"
            R"("output_tokens_details":{"thinking_tokens":0}}})");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(bench.scheduler.jobs[0].text.max_tokens, 50u);
  EXPECT_EQ(reply->tokens, 27u);
  ASSERT_EQ(reply->headers.size(), 1u);
  EXPECT_EQ(reply->headers[0].first, "request-id");
}

TEST(AnthropicMessagesTest, StreamsBlocks) {
  MessagesBench bench("g1");
  bench.scheduler.texts = {">\nhm\n</think>\nHello."};
  bench.scheduler.piece_bytes = 30;
  bench.scheduler.kept = 10;
  const auto reply =
      bench.Ask(R"("stream":true,"thinking":{"type":"enabled","budget_tokens":1024})");
  EXPECT_EQ(reply->content_type, "text/event-stream");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant: <think");
  EXPECT_EQ(
      EventsOfMessage(*reply),
      (Lines{R"(message_start "message":{"id":"msg-ID","type":"message","role":"assistant",)"
             R"("model":"tiny","content":[],"stop_reason":null,"stop_sequence":null,"usage":)"
             R"({"input_tokens":17,"cache_creation_input_tokens":10,"cache_read_input_tokens":0,)"
             R"("output_tokens":0,"output_tokens_details":{"thinking_tokens":0}}})",
             R"(content_block_start "index":0,"content_block":{"type":"thinking","thinking":"",)"
             R"("signature":""})",
             R"(content_block_delta "index":0,"delta":{"type":"thinking_delta","thinking":"hm"})",
             R"(content_block_delta "index":0,"delta":{"type":"signature_delta","signature":""})",
             R"(content_block_stop "index":0)",
             R"(content_block_start "index":1,"content_block":{"type":"text","text":""})",
             R"(content_block_delta "index":1,"delta":{"type":"text_delta","text":"Hello."})",
             R"(content_block_stop "index":1)",
             R"(message_delta "delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":)"
             R"({"input_tokens":17,"cache_creation_input_tokens":10,"cache_read_input_tokens":0,)"
             R"("output_tokens":1,"output_tokens_details":{"thinking_tokens":0}})",
             "message_stop"}));
}

TEST(AnthropicMessagesTest, ThoughtsAreAskedForAndCanBeHidden) {
  MessagesBench bench("g1");
  const struct {
    const char* fields;
    const char* prompt;
  } kCases[] = {
      {"", "User: Hi\n\nAssistant: <think>\n</think"},
      {R"("thinking":{"type":"disabled"})", "User: Hi\n\nAssistant: <think>\n</think"},
      {R"("thinking":{"type":"adaptive"})", "User: Hi\n\nAssistant: <think"},
      {R"("thinking":{"type":"between_tools"})", "User: Hi\n\nAssistant: <think"},
      {R"("thinking":{"type":"adaptive"},"output_config":{"effort":"low"})",
       "User: Hi (think a bit)\n\nAssistant: <think"},
      {R"("output_config":{"effort":"high"})", "User: Hi\n\nAssistant: <think>\n</think"}};
  for (const auto& c : kCases) {
    bench.Ask(c.fields);
    EXPECT_EQ(bench.Prompt(), c.prompt) << c.fields;
  }
  bench.scheduler.texts = {">\nhm\n</think>\nHello."};
  const Json shown = bench.Answer(R"("thinking":{"type":"adaptive"})");
  EXPECT_EQ(shown["content"][0]["thinking"], "hm");
  EXPECT_EQ(shown["content"][1]["text"], "Hello.");
  const std::string omitted = R"("thinking":{"type":"adaptive","display":"omitted"})";
  const Json hidden = bench.Answer(omitted);
  EXPECT_EQ(hidden["content"][0],
            Json({{"type", "thinking"}, {"thinking", ""}, {"signature", ""}}));
  const Lines events = EventsOfMessage(*bench.Ask(omitted + R"(,"stream":true)"));
  EXPECT_TRUE(events[2].find("signature_delta") != std::string::npos) << events[2];
  // The thoughts of the history are not read again.
  bench.Ask(R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":[
    {"type":"thinking","thinking":"hm","signature":""},{"type":"redacted_thinking","data":"x"},
    {"type":"text","text":"b"}]},{"role":"user","content":"c"}],"thinking":{"type":"adaptive"})");
  EXPECT_EQ(bench.Prompt(), "User: a\n\nAssistant: b\n\nUser: c\n\nAssistant: <think");
}

TEST(AnthropicMessagesTest, ToolsAreCalledAndTheirResultsRead) {
  MessagesBench bench;
  bench.scheduler.texts = {
      " Well.\n```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```"};
  bench.scheduler.piece_bytes = 16;
  const Json answer = bench.Answer(kOffered);
  EXPECT_EQ(bench.Prompt(),
            "System: Tools:\n- weather(city: string): Tells it.\nReturn only a JSON function call "
            "if a function is needed.\n\nUser: Hi\n\nAssistant:");
  EXPECT_EQ(answer["stop_reason"], "tool_use");
  ASSERT_EQ(answer["content"].size(), 2u);
  EXPECT_EQ(answer["content"][0]["text"], "Well.");
  const Json& call = answer["content"][1];
  EXPECT_EQ(call["type"], "tool_use");
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("toolu_"));
  EXPECT_EQ(call["input"], Json({{"city", "Oslo"}}));

  const Lines events = EventsOfMessage(*bench.Ask(std::string(kOffered) + R"(,"stream":true)"));
  std::string input;
  size_t starts = 0;
  for (const std::string& event : events) {
    starts += event.find(R"("content_block":{"type":"tool_use","id":"toolu-ID","name":"weather",)"
                         R"("input":{}})") != std::string::npos
                  ? 1
                  : 0;
    if (event.find("input_json_delta") == std::string::npos) continue;
    const Json delta = Json::parse("{" + event.substr(event.find(' ') + 1) + "}");
    EXPECT_EQ(delta["index"], 1);
    input += delta["delta"]["partial_json"];
  }
  EXPECT_EQ(starts, 1u);
  EXPECT_EQ(Json::parse(input), Json({{"city", "Oslo"}}));
  EXPECT_TRUE(events.end()[-2].starts_with(R"(message_delta "delta":{"stop_reason":"tool_use")"));

  // Its result, and what the user says after it, stand in their order.
  bench.Ask(std::string(kOffered) + R"(,"messages":[{"role":"user","content":"Rain?"},
    {"role":"assistant","content":[{"type":"text","text":"I look."},{"type":"server_tool_use",
     "id":"s","name":"web_search","input":{}},{"type":"web_search_tool_result","tool_use_id":"s",
     "content":[]},{"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Rome"}}]},
    {"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":
     "text","text":"dry"}]},{"type":"tool_result","tool_use_id":"toolu_2","is_error":true},
     {"type":"text","text":"So?"}]}])");
  const std::string prompt = bench.Prompt();
  EXPECT_TRUE(prompt.ends_with(
      "User: Rain?\n\nAssistant: I look.\n```json\n{\"name\":\"weather\",\"arguments\":{\"city\":"
      "\"Rome\"}}\n```\n\nUser: Function output:\ndry\n\nUser: Function output:\nerror\n\n"
      "User: So?\n\nAssistant:"))
      << prompt;
}

TEST(AnthropicMessagesTest, ToolChoices) {
  MessagesBench bench;
  bench.scheduler.texts = {
      "[{\"name\": \"weather\", \"arguments\": {\"city\": \"A\"}}, "
      "{\"name\": \"weather\", \"arguments\": {\"city\": \"B\"}}]"};
  const std::string tools = kOffered;
  for (const char* choice : {R"({"type":"any"})", R"({"type":"tool","name":"weather"})"}) {
    const Json answer = bench.Answer(tools + R"(,"tool_choice":)" + choice);
    EXPECT_TRUE(bench.Prompt().ends_with("Assistant: ```json\n"));
    ASSERT_EQ(answer["content"].size(), 2u) << answer;
    EXPECT_EQ(answer["content"][1]["input"]["city"], "B");
  }
  // One that max_tokens cuts is no call: its input would not be what the model meant.
  const Json cut = bench.Answer(tools + R"(,"tool_choice":{"type":"any"},"max_tokens":86)");
  EXPECT_EQ(cut["stop_reason"], "max_tokens");
  EXPECT_EQ(cut["content"].size(), 1u);
  bench.Ask(tools + R"(,"tool_choice":{"type":"none"})");
  EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  EXPECT_EQ(bench.Ask(R"("tool_choice":{"type":"any"})")->status, 400);
  EXPECT_EQ(bench.Ask(tools + R"(,"tool_choice":{"type":"tool","name":"web_search"})")->status,
            400);
}

TEST(AnthropicMessagesTest, TheHeaderThatChangesWithEachRequestIsLeftOut) {
  MessagesBench bench;
  const std::string wanted = "System: You are kind.\nBe short.\n\nUser: Hi\n\nAssistant:";
  for (const char* hash : {"00000", "a1b2c"}) {
    const std::string line =
        std::string("x-anthropic-billing-header: cc_version=2.1.37; cc_entrypoint=cli; cch=") +
        hash + ";";
    bench.Ask(R"("system":[{"type":"text","text":")" + line +
              R"("},{"type":"text","text":"You are kind.","cache_control":{"type":"ephemeral"}},
                 {"type":"text","text":"Be short."}])");
    EXPECT_EQ(bench.Prompt(), wanted);
    // Proxies make one text of the blocks.
    bench.Ask(R"("system":")" + line + R"(\nYou are kind.\nBe short.")");
    EXPECT_EQ(bench.Prompt(), wanted);
    bench.Ask(R"("system":[{"type":"text","text":")" + line + R"("}])");
    EXPECT_EQ(bench.Prompt(), "User: Hi\n\nAssistant:");
  }
  EXPECT_EQ(WithoutHeaderLines("x-anthropic-a: 1\nx-anthropic-b: 2\n\nText"), "Text");
  for (const char* kept :
       {"x-anthropic is a word", "x-anthropic-words are here: yes", "Text\nx-anthropic-a: 1", ""}) {
    EXPECT_EQ(WithoutHeaderLines(kept), kept);
  }
}

TEST(AnthropicMessagesTest, LateSystemMessagesStayWhereTheyStand) {
  MessagesBench bench;
  bench.Ask(R"("system":"Be kind.","messages":[{"role":"user","content":"a"},{"role":"system",
    "content":[{"type":"text","text":"1000 tokens left"}]},{"role":"assistant","content":"b"},
    {"role":"user","content":[{"type":"text","text":"c"},{"type":"text","text":"d"}]}])");
  EXPECT_EQ(bench.Prompt(),
            "System: Be kind.\n\nUser: a\n\nSystem: 1000 tokens left\n\nAssistant: b\n\n"
            "User: c\nd\n\nAssistant:");
}

TEST(AnthropicMessagesTest, WhatIsNoTextIsRefusedByItsName) {
  MessagesBench bench;
  const auto ask = [&](const std::string& block) {
    return bench.Ask(R"("messages":[{"role":"user","content":[)" + block + "]}]");
  };
  const auto image =
      ask(R"({"type":"image","source":{"type":"base64","media_type":"image/png","data":""}})");
  EXPECT_EQ(image->status, 400);
  EXPECT_EQ(Json::parse(image->body),
            Json::parse(R"({"type":"error","error":{"type":"invalid_request_error","message":
              "messages[0].content[0].type is no text, which is all that models here read"},
              "request_id":""})"));
  EXPECT_EQ(ask(R"({"type":"document","source":{"type":"base64","data":""}})")->status, 400);
  EXPECT_EQ(ask(R"({"text":"x"})")->status, 400);
  ask(R"({"type":"document","title":"T","source":{"type":"text","media_type":"text/plain",
      "data":"D"}},{"type":"search_result","source":"s","title":"S","content":[{"type":"text",
      "text":"found"}]})");
  EXPECT_EQ(bench.Prompt(), "User: T\nD\nS\nfound\n\nAssistant:");
}

TEST(AnthropicMessagesTest, SaysWhyItEnded) {
  MessagesBench bench;
  bench.scheduler.texts = {" One. Two."};
  const Json stopped = bench.Answer(R"("stop_sequences":["Two"])");
  EXPECT_EQ(stopped["stop_reason"], "stop_sequence");
  EXPECT_EQ(stopped["stop_sequence"], "Two");
  EXPECT_EQ(stopped["content"][0]["text"], "One. ");
  EXPECT_EQ(bench.Answer(R"("max_tokens":2)")["stop_reason"], "max_tokens");
  const Json read = bench.Answer(R"("max_tokens":0)");
  EXPECT_EQ(read["stop_reason"], "max_tokens");
  EXPECT_EQ(read["content"], Json::array());
}

TEST(AnthropicMessagesTest, FormatsBindTheText) {
  MessagesBench bench;
  bench.scheduler.texts = {"{\"a\": 1}"};
  for (const char* fields :
       {R"("output_config":{"format":{"type":"json_schema","schema":{"type":"object"}}})",
        R"("output_format":{"type":"json_schema","schema":{"type":"object"}})"}) {
    EXPECT_EQ(bench.Answer(fields)["content"][0]["text"], "{\"a\": 1}");
    EXPECT_NE(bench.scheduler.jobs.back().grammar, nullptr) << fields;
  }
}

TEST(AnthropicMessagesTest, CountsTheTokensOfThePrompt) {
  MessagesBench bench;
  const std::string fields = R"("system":"Be kind.",)" + std::string(kOffered);
  const Json usage = bench.Answer(fields)["usage"];
  const auto count = bench.Ask(fields, "/v1/messages/count_tokens");
  EXPECT_EQ(Json::parse(count->body), Json({{"input_tokens", usage["input_tokens"]}}));
  EXPECT_EQ(usage["input_tokens"], bench.Prompt().size());
}

TEST(AnthropicMessagesTest, ModelsOfTheFamilyAreTheFirst) {
  MessagesBench bench;
  EXPECT_EQ(bench.Answer(R"("model":"claude-haiku-4-5-20251001")")["model"], "tiny");
  const auto other = bench.Ask(R"("model":"gpt-9")");
  EXPECT_EQ(other->status, 404);
  EXPECT_EQ(Json::parse(other->body)["error"]["type"], "not_found_error");
}

TEST(AnthropicMessagesTest, ErrorsHaveAnthropicsForm) {
  MessagesBench bench;
  const auto type_of = [](const test::RecordedReply& reply) {
    const Json body = Json::parse(reply.body);
    EXPECT_EQ(body["type"], "error");
    EXPECT_TRUE(body["error"]["message"].is_string());
    return body["error"]["type"].get<std::string>();
  };
  EXPECT_EQ(type_of(*test::Ask(bench.router, "POST", "/v1/messages", "{")),
            "invalid_request_error");
  const auto method = test::Ask(bench.router, "GET", "/v1/messages");
  EXPECT_EQ(method->status, 405);
  EXPECT_EQ(type_of(*method), "invalid_request_error");
  EXPECT_EQ(type_of(*test::Ask(bench.router, "POST", "/v1/messages/batches", "{}")),
            "not_found_error");
  bench.scheduler.refuse = [] { throw Error(ErrorKind::kBusy, "the queue is full"); };
  const auto busy = bench.Ask(R"("stream":true)");
  EXPECT_EQ(busy->status, 429);
  EXPECT_EQ(type_of(*busy), "rate_limit_error");
  EXPECT_EQ(busy->headers, (HttpHeaders{{"retry-after", "2"}, {"request-id", ""}}));
}

TEST(AnthropicMessagesTest, AnErrorInAStreamIsItsLastEvent) {
  MessagesBench bench;
  bench.scheduler.holds = true;
  const auto early = bench.Ask(R"("stream":true)");
  bench.scheduler.held[0].listener->OnError(Error(ErrorKind::kNoMemory, "no room"));
  EXPECT_EQ(early->status, 503);
  EXPECT_EQ(Json::parse(early->body)["error"]["type"], "overloaded_error");
  const auto late = bench.Ask(R"("stream":true)");
  bench.scheduler.held[1].listener->OnStart();
  bench.scheduler.held[1].listener->OnError(Error(ErrorKind::kNoMemory, "no room"));
  EXPECT_EQ(EventsOfMessage(*late).back(),
            R"(error "error":{"type":"overloaded_error","message":"no room"},"request_id":"")");
  EXPECT_TRUE(late->ended);
  // One that is cancelled before it began is whole all the same.
  const auto cancelled = bench.Ask(R"("stream":true)");
  bench.scheduler.held[2].listener->OnEnd(0, {.finish = Finish::kInterrupted});
  bench.scheduler.held[2].listener->OnDone();
  const Lines events = EventsOfMessage(*cancelled);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_TRUE(events[0].starts_with("message_start"));
  EXPECT_EQ(events[2], "message_stop");
}

// A conversation of Claude Code: each request has another header and the whole history.
TEST(AnthropicThreadTest, TheNextTurnReadsOnlyWhatIsNew) {
  Service service(true);
  Json messages = Json::array();
  std::vector<ChatMessage> past = {
      {.role = ChatRole::kSystem, .text = "You are a coding agent. Be kind."}};
  size_t read = 0;  // tokens of the conversation that the last request and its answer left
  for (int turn = 0; turn < 4; ++turn) {
    const std::string question = "Question " + std::to_string(turn),
                      left = std::to_string(1000 - turn) + " tokens left";
    messages.push_back({{"role", "user"}, {"content", question}});
    // What is left is told after each question, and stays there.
    messages.push_back({{"role", "system"}, {"content", left}});
    past.push_back({.role = ChatRole::kUser, .text = question});
    past.push_back({.role = ChatRole::kSystem, .text = left});
    const Json system = {
        {{"type", "text"},
         {"text", "x-anthropic-billing-header: cc_version=2; cch=" + std::to_string(turn) + ";"}},
        {{"type", "text"}, {"text", "You are a coding agent. Be kind."}}};
    const Json body = {
        {"system", system}, {"messages", messages}, {"max_tokens", 20}, {"seed", turn}};
    const size_t counted = service.Post("/v1/messages/count_tokens", body)["input_tokens"];
    const Json answer = service.Post("/v1/messages", body);
    service.Settle();
    const Json& usage = answer["usage"];
    const size_t cached = usage["cache_read_input_tokens"],
                 created = usage["cache_creation_input_tokens"], rest = usage["input_tokens"];
    EXPECT_EQ(cached + created + rest, counted);
    EXPECT_EQ(cached, read) << turn;
    EXPECT_EQ(rest, std::string("Assistant:").size());
    ASSERT_FALSE(answer["content"].empty());
    const std::string said = answer["content"][0]["text"];
    messages.push_back({{"role", "assistant"}, {"content", answer["content"]}});
    past.push_back({.role = ChatRole::kAssistant, .text = said});
    // Bytes are tokens.
    read = ChatTemplate::Named("world").RenderPast(past, {}, {}).text.size();
  }
}

}  // namespace
}  // namespace linnet
