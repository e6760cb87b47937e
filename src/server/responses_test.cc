#include "server/responses.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/sanitized.h"
#include "base/scratch_folder.h"
#include "server/response_items.h"
#include "server/scripted_model.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;
using test::ScriptedEngine;
using test::ScriptedModel;

// The events of a stream; checks the frame of each.
std::vector<Json> EventsOf(const std::string& body) {
  std::vector<Json> events;
  for (size_t at = 0; at < body.size();) {
    const size_t end = body.find("\n\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "no end of " << body.substr(at);
      break;
    }
    const std::string frame = body.substr(at, end - at);
    const size_t data = frame.find("\ndata: ");
    events.push_back(Json::parse(frame.substr(data + 7)));
    EXPECT_EQ(frame.substr(0, data), "event: " + events.back().at("type").get<std::string>());
    at = end + 2;
  }
  return events;
}

class ResponsesTest : public testing::Test {
 protected:
  ResponsesTest() { Restart(); }
  // As a new process on the same folder.
  void Restart() {
    router_ = Router();
    store_.reset();
    store_ = std::make_shared<ResponseStore>(ResponseStoreOptions{.folder = folder_ / "state"});
    AddResponseRoutes(
        router_,
        std::make_shared<ServedModels>(
            std::vector<std::shared_ptr<const ServedModel>>{ScriptedModel(engine_, "world")}),
        store_);
  }
  Json Post(const std::string& body, int status = 200, const std::string& owner = "") {
    return AnswerTo(router_, "POST", "/v1/responses", body, owner, status);
  }
  Json GetOne(const std::string& id, int status = 200, const std::string& owner = "") {
    return AnswerTo(router_, "GET", "/v1/responses/" + id, "", owner, status);
  }
  std::string PromptOf(size_t job) const {
    std::string text;
    for (const int32_t id : engine_.jobs.at(job).prompt) text += static_cast<char>(id);
    return text;
  }

  test::TemporaryFolder folder_;
  ScriptedEngine engine_;
  std::shared_ptr<ResponseStore> store_;
  Router router_;
};

TEST_F(ResponsesTest, AnswersWithTheWholeObject) {
  Json object = Post(R"({"model":"tiny","input":"Hi","instructions":"Be kind.",
                         "metadata":{"a":"b"},"max_output_tokens":9})");
  const std::string id = object.at("id");
  EXPECT_TRUE(id.starts_with("resp_"));
  EXPECT_EQ(GetOne(id), object);
  EXPECT_GE(object.at("completed_at"), object.at("created_at"));
  for (const char* field : {"id", "created_at", "completed_at"}) object.erase(field);
  const std::string item = object.at("output").at(0).at("id");
  EXPECT_EQ(ResponseOfItem(item), id);
  object["output"][0].erase("id");
  EXPECT_EQ(object, Json::parse(R"({
    "object": "response", "status": "completed", "background": false, "error": null,
    "incomplete_details": null, "instructions": "Be kind.", "max_output_tokens": 9,
    "max_tool_calls": null, "metadata": {"a": "b"}, "model": "tiny", "parallel_tool_calls": true,
    "previous_response_id": null, "prompt_cache_key": null,
    "reasoning": {"effort": null, "summary": null}, "safety_identifier": null,
    "service_tier": "default", "store": true, "temperature": 1.0, "text": {"format": {"type": "text"}},
    "tool_choice": "auto", "tools": [], "top_logprobs": 0, "top_p": 0.30000001192092896,
    "truncation": "disabled", "user": null,
    "output": [{"type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": "Hello", "annotations": [],
                             "logprobs": []}]}],
    "usage": {"input_tokens": 38, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
              "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 0},
              "total_tokens": 43}})"))
      << object.dump(1);
  EXPECT_EQ(PromptOf(0), "System: Be kind.\n\nUser: Hi\n\nAssistant:");
  EXPECT_EQ(engine_.jobs.at(0).text.max_tokens, 9u);
}

TEST_F(ResponsesTest, CountsWhatTheCacheHadAndHasNow) {
  engine_.cached = 5;
  engine_.kept = 12;
  const Json details = Post(R"({"input":"Hi"})").at("usage").at("input_tokens_details");
  EXPECT_EQ(details, (Json{{"cached_tokens", 5}, {"cache_write_tokens", 7}}));
}

TEST_F(ResponsesTest, StreamsTheEventsInOrder) {
  const auto reply = Call(router_, "POST", "/v1/responses", R"({"input":"Hi","stream":true})");
  ASSERT_TRUE(reply->WaitForEnd());
  EXPECT_EQ(reply->status, 200);
  EXPECT_EQ(reply->content_type, "text/event-stream");
  const std::vector<Json> events = EventsOf(reply->body);
  std::vector<std::string> types;
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].at("sequence_number"), i);
    types.push_back(events[i].at("type"));
  }
  EXPECT_EQ(types,
            (std::vector<std::string>{"response.created", "response.in_progress",
                                      "response.output_item.added", "response.content_part.added",
                                      "response.output_text.delta", "response.output_text.delta",
                                      "response.output_text.done", "response.content_part.done",
                                      "response.output_item.done", "response.completed"}));
  ASSERT_EQ(events.size(), 10u);
  EXPECT_EQ(events[0].at("response").at("status"), "in_progress");
  const std::string item = events[2].at("item").at("id");
  EXPECT_EQ(events[2].at("item").at("status"), "in_progress");
  EXPECT_EQ(events[4], (Json{{"type", "response.output_text.delta"},
                             {"sequence_number", 4},
                             {"item_id", item},
                             {"output_index", 0},
                             {"content_index", 0},
                             {"delta", "Hel"},
                             {"logprobs", Json::array()}}));
  EXPECT_EQ(events[6].at("text"), "Hello");
  EXPECT_EQ(events[7].at("part").at("text"), "Hello");
  EXPECT_EQ(events[9].at("response").at("output").at(0), events[8].at("item"));
  EXPECT_EQ(GetOne(events[0].at("response").at("id")), events[9].at("response"));
}

TEST_F(ResponsesTest, ThoughtsAreAnItemOfTheirOwnAndNotPartOfTheHistory) {
  engine_.pieces = {">\nhm", " hm</think>\n\nYes"};
  const auto reply = Call(router_, "POST", "/v1/responses",
                          R"({"input":"Hi","stream":true,"reasoning":{"effort":"high"}})");
  ASSERT_TRUE(reply->WaitForEnd());
  const std::vector<Json> events = EventsOf(reply->body);
  const Json last = events.back().at("response");
  ASSERT_EQ(last.at("output").size(), 2u) << last.dump(1);
  EXPECT_EQ(last.at("output")[0].at("type"), "reasoning");
  EXPECT_EQ(last.at("output")[0].at("content")[0],
            (Json{{"type", "reasoning_text"}, {"text", "hm hm"}}));
  EXPECT_EQ(last.at("output")[0].at("summary"), Json::array());
  EXPECT_EQ(last.at("output")[1].at("content")[0].at("text"), "Yes");
  EXPECT_EQ(last.at("reasoning").at("effort"), "high");
  EXPECT_GT(last.at("usage").at("output_tokens_details").at("reasoning_tokens"), 0);
  std::vector<std::string> types;
  for (const Json& event : events) {
    if (event.contains("output_index") && event.at("output_index") == 0) {
      types.push_back(event.at("type"));
    }
  }
  EXPECT_EQ(types.front(), "response.output_item.added");
  EXPECT_EQ(types.at(2), "response.reasoning_text.delta");
  EXPECT_EQ(types.at(types.size() - 3), "response.reasoning_text.done");
  EXPECT_EQ(types.back(), "response.output_item.done");

  engine_.pieces = {"Ok"};
  Post(fmt::format(R"({{"input":"And?","previous_response_id":"{}"}})",
                   last.at("id").get<std::string>()));
  EXPECT_EQ(PromptOf(1), "User: Hi\n\nAssistant: Yes\n\nUser: And?\n\nAssistant:");
}

TEST_F(ResponsesTest, CallsStreamTheirArguments) {
  engine_.pieces = {R"({"name":"add","argu)", R"(ments":{"a":1)", R"(}}])"};
  const std::string tools =
      R"("tools":[{"type":"web_search"},{"type":"namespace","name":"x","tools":[]},
                  {"type":"function","name":"add","description":"Adds.",
                   "parameters":{"type":"object","properties":{"a":{"type":"integer"}}}}])";
  const auto reply = Call(
      router_, "POST", "/v1/responses",
      R"({"input":"1+1?","stream":true,"tool_choice":"required","parallel_tool_calls":false,)" +
          tools + "}");
  ASSERT_TRUE(reply->WaitForEnd());
  const std::vector<Json> events = EventsOf(reply->body);
  const Json last = events.back().at("response");
  ASSERT_EQ(last.at("output").size(), 1u) << reply->body;
  const Json& call = last.at("output")[0];
  EXPECT_EQ(call.at("type"), "function_call");
  EXPECT_EQ(call.at("name"), "add");
  EXPECT_EQ(call.at("status"), "completed");
  EXPECT_EQ(last.at("tools").size(), 1u) << "those that do not exist here are left out";
  std::string arguments;
  for (const Json& event : events) {
    if (event.at("type") == "response.function_call_arguments.delta") {
      arguments += event.at("delta");
    }
    if (event.at("type") == "response.output_item.added") {
      EXPECT_EQ(event.at("item").at("arguments"), "");
    }
  }
  EXPECT_EQ(arguments, call.at("arguments"));
  EXPECT_EQ(Json::parse(arguments), (Json{{"a", 1}}));

  // The result is an item of the next request.
  engine_.pieces = {"1"};
  const Json next = {{"previous_response_id", last.at("id")},
                     {"input", Json::array({{{"type", "function_call_output"},
                                             {"call_id", call.at("call_id")},
                                             {"output", "one"}}})}};
  EXPECT_EQ(Post(next.dump()).at("status"), "completed");
  EXPECT_NE(PromptOf(1).find("\"name\""), std::string::npos) << PromptOf(1);
  EXPECT_NE(PromptOf(1).find("one"), std::string::npos) << PromptOf(1);
}

TEST_F(ResponsesTest, AnyResponseCanBeContinuedAlsoAfterARestart) {
  const Json root = Post(R"({"input":"One"})");
  engine_.pieces = {"B"};
  const std::string continued =
      fmt::format(R"({{"input":"Two","previous_response_id":"{}","instructions":"New"}})",
                  root.at("id").get<std::string>());
  const Json second = Post(continued);
  EXPECT_EQ(second.at("previous_response_id"), root.at("id"));
  Post(continued);  // another branch
  const std::string prompt =
      "System: New\n\nUser: One\n\nAssistant: Hello\n\nUser: Two\n\nAssistant:";
  EXPECT_EQ(PromptOf(1), prompt);
  EXPECT_EQ(PromptOf(2), prompt);
  Restart();
  EXPECT_EQ(GetOne(second.at("id")), second);
  Post(fmt::format(R"({{"input":"Three","previous_response_id":"{}"}})",
                   second.at("id").get<std::string>()));
  EXPECT_EQ(
      PromptOf(3),
      "User: One\n\nAssistant: Hello\n\nUser: Two\n\nAssistant: B\n\nUser: Three\n\nAssistant:");
}

TEST_F(ResponsesTest, WhatIsNotStoredIsUnknown) {
  const Json object = Post(R"({"input":"Hi","store":false})");
  EXPECT_EQ(object.at("store"), false);
  const std::string id = object.at("id");
  EXPECT_EQ(GetOne(id, 404).at("error").at("code"), "response_not_found");
  const Json error = Post(R"({"input":"Hi","previous_response_id":")" + id + "\"}", 404);
  EXPECT_EQ(error.at("error").at("param"), "previous_response_id");
}

TEST_F(ResponsesTest, ResponsesOfAnotherKeyAreUnknown) {
  const std::string id = Post(R"({"input":"Hi"})", 200, "alice").at("id");
  GetOne(id, 200, "alice");
  GetOne(id, 404, "bob");
  Post(R"({"input":"Hi","previous_response_id":")" + id + "\"}", 404, "bob");
  const std::string path = "/v1/responses/" + id;
  AnswerTo(router_, "DELETE", path, "", "bob", 404);
  AnswerTo(router_, "POST", path + "/cancel", "", "bob", 404);
  AnswerTo(router_, "GET", path + "/input_items", "", "bob", 404);
  const std::string item = ItemId("msg", id, true, 0);
  const std::string reference = R"({"input":[{"type":"item_reference","id":")" + item + "\"}]}";
  Post(reference, 404, "bob");
  Post(reference, 200, "alice");
}

TEST_F(ResponsesTest, DeleteForgets) {
  const std::string id = Post(R"({"input":"Hi"})").at("id");
  EXPECT_EQ(AnswerTo(router_, "DELETE", "/v1/responses/" + id),
            (Json{{"id", id}, {"object", "response"}, {"deleted", true}}));
  GetOne(id, 404);
  AnswerTo(router_, "DELETE", "/v1/responses/" + id, "", "", 404);
}

TEST_F(ResponsesTest, InputItemsAreListedInPages) {
  const std::string root = Post(R"({"input":"One"})").at("id");
  const Json body = {{"previous_response_id", root},
                     {"input", Json::array({{{"role", "developer"}, {"content", "d"}},
                                            {{"role", "user"}, {"content", "u"}}})}};
  const std::string path =
      "/v1/responses/" + Post(body.dump()).at("id").get<std::string>() + "/input_items";
  const Json all = AnswerTo(router_, "GET", path + "?order=asc");
  std::vector<std::string> texts;
  for (const Json& item : all.at("data")) texts.push_back(item.at("content")[0].at("text"));
  EXPECT_EQ(texts, (std::vector<std::string>{"One", "Hello", "d", "u"}));
  EXPECT_EQ(all.at("has_more"), false);
  EXPECT_EQ(all.at("first_id"), all.at("data")[0].at("id"));
  const Json page = AnswerTo(router_, "GET", path + "?limit=1");
  EXPECT_EQ(page.at("data"), Json::array({all.at("data")[3]}));
  EXPECT_EQ(page.at("has_more"), true);
  const std::string after = page.at("last_id");
  EXPECT_EQ(AnswerTo(router_, "GET", path + "?limit=1&after=" + after).at("data"),
            Json::array({all.at("data")[2]}));
  for (const char* query : {"?limit=0", "?limit=x", "?order=up"}) {
    AnswerTo(router_, "GET", path + query, "", "", 400);
  }
  AnswerTo(router_, "GET", path + "?after=nothing", "", "", 404);
}

TEST_F(ResponsesTest, InputTokensAreThoseOfThePrompt) {
  const std::string body = R"({"input":"Hi","instructions":"Be kind."})";
  EXPECT_EQ(AnswerTo(router_, "POST", "/v1/responses/input_tokens", body),
            (Json{{"object", "response.input_tokens"}, {"input_tokens", 38}}));
  EXPECT_EQ(Post(body).at("usage").at("input_tokens"), 38);
}

TEST_F(ResponsesTest, CodexsProbeIsAnswered) {
  engine_.finish = Finish::kLength;
  engine_.pieces = {"H"};
  const Json object = Post(R"({"model":"tiny","instructions":"You are Codex.","input":[],
    "tools":[{"type":"web_search","external_web_access":false},{"type":"custom","name":"apply_patch",
    "format":{"type":"grammar"}}],"tool_choice":"auto","parallel_tool_calls":true,
    "reasoning":{"effort":"medium","summary":"auto"},"store":false,"stream":false,
    "include":["reasoning.encrypted_content"],"prompt_cache_key":"k","client_metadata":{"a":"b"},
    "max_output_tokens":1})");
  EXPECT_EQ(object.at("status"), "incomplete");
  EXPECT_EQ(object.at("incomplete_details"), (Json{{"reason", "max_output_tokens"}}));
  EXPECT_EQ(object.at("output")[0].at("status"), "incomplete");
  EXPECT_EQ(object.at("completed_at"), nullptr);
  EXPECT_EQ(Post("{}").at("status"), "incomplete");
}

TEST_F(ResponsesTest, ItemsOfOtherToolsInTheHistoryAreSkipped) {
  Post(R"({"input":[{"role":"user","content":[{"type":"input_text","text":"a"},
                                               {"type":"input_text","text":"b"}]},
    {"type":"web_search_call","id":"ws_1","status":"completed"},
    {"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"x"},
    {"type":"message","id":"msg_1","role":"assistant","status":"completed",
     "content":[{"type":"output_text","text":"c","annotations":[]}]},
    {"role":"user","content":"d"}]})");
  EXPECT_EQ(PromptOf(0), "User: a\nb\n\nAssistant: c\n\nUser: d\n\nAssistant:");
}

TEST_F(ResponsesTest, AReferenceStandsForAStoredItem) {
  const Json first = Post(R"({"input":"One"})");
  const std::string item = first.at("output")[0].at("id");
  const std::string reference =
      R"([{"role":"user","content":"Again"},{"type":"item_reference","id":")" + item +
      R"("},{"role":"user","content":"?"}])";
  Post(R"({"input":)" + reference + "}");
  EXPECT_EQ(PromptOf(1), "User: Again\n\nAssistant: Hello\n\nUser: ?\n\nAssistant:");
  // In a conversation that has the item, it is not repeated.
  Post(R"({"previous_response_id":")" + first.at("id").get<std::string>() + R"(","input":)" +
       reference + "}");
  EXPECT_EQ(PromptOf(2), "User: One\n\nAssistant: Hello\n\nUser: Again\n\nUser: ?\n\nAssistant:");
  EXPECT_EQ(
      Post(R"({"input":[{"type":"item_reference","id":"msg_0"}]})", 404).at("error").at("code"),
      "item_not_found");
}

TEST_F(ResponsesTest, LogprobsAreTold) {
  const Json object =
      Post(R"({"input":"Hi","include":["message.output_text.logprobs"],"top_logprobs":1})");
  const Json logprobs = object.at("output")[0].at("content")[0].at("logprobs");
  ASSERT_EQ(logprobs.size(), 5u);
  EXPECT_EQ(logprobs[0], Json::parse(R"({"token":"H","bytes":[72],"logprob":-0.5,
    "top_logprobs":[{"token":"H","bytes":[72],"logprob":-0.5}]})"));
  EXPECT_TRUE(engine_.jobs.at(0).want_logprobs);
}

TEST_F(ResponsesTest, TheFormatBindsTheText) {
  engine_.pieces = {R"({"a":1})"};
  const Json object = Post(R"({"input":"Hi","text":{"format":{"type":"json_schema","name":"n",
    "schema":{"type":"object"},"strict":true},"verbosity":"low"}})");
  EXPECT_EQ(object.at("text").at("format").at("type"), "json_schema");
  EXPECT_EQ(object.at("text").at("verbosity"), "low");
  EXPECT_NE(engine_.jobs.at(0).grammar, nullptr);
}

TEST_F(ResponsesTest, AnAnswerWithoutTextHasAnEmptyOne) {
  engine_.pieces = {};
  const Json object = Post(R"({"input":"Hi"})");
  ASSERT_EQ(object.at("output").size(), 1u);
  EXPECT_EQ(object.at("output")[0].at("content")[0].at("text"), "");
}

TEST_F(ResponsesTest, ABackgroundResponseCanBePolledCancelledAndFollowed) {
  engine_.hold = true;
  const Json queued = Post(R"({"input":"Hi","background":true})");
  EXPECT_EQ(queued.at("status"), "queued");
  const std::string id = queued.at("id"), path = "/v1/responses/" + id;
  EXPECT_EQ(GetOne(id), queued);
  Post(R"({"input":"x","previous_response_id":")" + id + "\"}", 409);
  AnswerTo(router_, "DELETE", path, "", "", 409);
  const auto follower = Call(router_, "GET", path + "?stream=true");
  engine_.RunAll();
  ASSERT_TRUE(follower->WaitForEnd());
  const Json done = GetOne(id);
  EXPECT_EQ(done.at("status"), "completed");
  const std::vector<Json> events = EventsOf(follower->body);
  EXPECT_EQ(events.front().at("type"), "response.created");
  EXPECT_EQ(events.at(1).at("type"), "response.queued");
  EXPECT_EQ(events.at(2).at("type"), "response.in_progress");
  EXPECT_EQ(events.back().at("response"), done);
  // A client that lost its connection goes on where it was.
  const auto later = Call(router_, "GET", path + "?stream=true&starting_after=3");
  ASSERT_TRUE(later->WaitForEnd());
  EXPECT_EQ(EventsOf(later->body), std::vector<Json>(events.begin() + 4, events.end()));
  EXPECT_EQ(AnswerTo(router_, "POST", path + "/cancel"), done) << "too late: nothing changes";

  const std::string other = Post(R"({"input":"Hi","background":true})").at("id");
  const Json cancelled = AnswerTo(router_, "POST", "/v1/responses/" + other + "/cancel");
  EXPECT_EQ(cancelled.at("status"), "cancelled");
  EXPECT_EQ(GetOne(other), cancelled);
  Restart();
  EXPECT_EQ(GetOne(id), done);
  AnswerTo(router_, "GET", path + "?stream=true", "", "", 404);
}

TEST_F(ResponsesTest, ABackgroundResponseThatWasLostHasFailed) {
  engine_.hold = true;
  const std::string id = Post(R"({"input":"Hi","background":true})").at("id");
  Restart();
  const Json object = GetOne(id);
  EXPECT_EQ(object.at("status"), "failed");
  EXPECT_EQ(object.at("error").at("code"), "server_error");
  engine_.RunAll();
}

TEST_F(ResponsesTest, AClientThatLeavesCancels) {
  engine_.hold = true;
  const auto reply = Call(router_, "POST", "/v1/responses", R"({"input":"Hi","stream":true})");
  reply->Leave();
  EXPECT_EQ(engine_.cancelled, std::vector<uint64_t>{0});
  const auto background =
      Call(router_, "POST", "/v1/responses", R"({"input":"Hi","stream":true,"background":true})");
  ASSERT_TRUE(background->WaitForChunks(2));
  background->Leave();
  EXPECT_EQ(engine_.cancelled.size(), 1u);
  engine_.RunAll();
}

TEST_F(ResponsesTest, AConversationHasOneWriterAtATime) {
  const std::string body = R"({"input":"One","conversation":"conv_1"})";
  EXPECT_EQ(Post(body).at("conversation"), (Json{{"id", "conv_1"}}));
  engine_.hold = true;
  const auto running =
      Call(router_, "POST", "/v1/responses", R"({"input":"Two","conversation":{"id":"conv_1"}})");
  EXPECT_EQ(Post(body, 409).at("error").at("code"), "conversation_locked");
  AnswerTo(router_, "GET", "/v1/responses/x", "", "", 404);  // others are answered
  engine_.RunAll();
  ASSERT_TRUE(running->WaitForEnd());
  engine_.hold = false;
  Post(R"({"input":"Three","conversation":"conv_1"})");
  EXPECT_EQ(PromptOf(2),
            "User: One\n\nAssistant: Hello\n\nUser: Two\n\nAssistant: Hello\n\nUser: Three\n\n"
            "Assistant:");
  Post(body, 200, "another key");
  EXPECT_EQ(PromptOf(3), "User: One\n\nAssistant:");
}

TEST_F(ResponsesTest, AFullQueueIsTheStatusAndAFailureInAStreamIsAnEvent) {
  engine_.before = [](const Job&) { throw Error(ErrorKind::kBusy, "the queue is full"); };
  const auto refused =
      Call(router_, "POST", "/v1/responses", R"({"input":"Hi","stream":true,"conversation":"c"})");
  EXPECT_EQ(refused->status, 429);
  EXPECT_FALSE(refused->headers.empty());
  engine_.before = nullptr;
  engine_.hold = true;
  const auto reply =
      Call(router_, "POST", "/v1/responses", R"({"input":"Hi","stream":true,"conversation":"c"})");
  engine_.Fail(0, Error(ErrorKind::kIo, "secret.bin: gone"));
  ASSERT_TRUE(reply->WaitForEnd());
  const Json last = EventsOf(reply->body).back();
  EXPECT_EQ(last.at("type"), "response.failed");
  EXPECT_EQ(last.at("response").at("error").at("code"), "server_error");
  EXPECT_EQ(reply->body.find("secret"), std::string::npos);
  GetOne(last.at("response").at("id"), 404);
  // Without a stream the status says it.
  const auto plain = Call(router_, "POST", "/v1/responses", R"({"input":"Hi"})");
  engine_.Fail(1, Error(ErrorKind::kBusy, "too late"));
  ASSERT_TRUE(plain->WaitForEnd());
  EXPECT_EQ(plain->status, 429);
}

TEST_F(ResponsesTest, BadRequestsNameTheField) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"input":5})", "input"},
      {R"({"input":[5]})", "input[0]"},
      {R"({"input":[{"role":"robot","content":"x"}]})", "input[0].role"},
      {R"({"input":[{"role":"user"}]})", "input[0].content"},
      {R"({"input":[{"role":"user","content":[{"type":"input_image","image_url":"x"}]}]})",
       "input[0].content[0].type"},
      {R"({"input":[{"type":"function_call","name":"f","arguments":"{}"}]})", "input[0].call_id"},
      {R"({"input":[{"type":"weather"}]})", "input[0].type"},
      {R"({"max_output_tokens":0})", "max_output_tokens"},
      {R"({"store":"yes"})", "store"},
      {R"({"background":true,"store":false})", "background"},
      {R"({"previous_response_id":"a","conversation":"b"})", "previous_response_id"},
      {R"({"conversation":""})", "conversation"},
      {R"({"metadata":{"a":1}})", "metadata"},
      {R"({"truncation":"left"})", "truncation"},
      {R"({"top_logprobs":21})", "top_logprobs"},
      {R"({"temperature":"warm"})", "temperature"},
      {R"({"reasoning":{"effort":"huge"}})", "reasoning.effort"},
      {R"({"text":{"verbosity":"shout"}})", "text.verbosity"},
      {R"({"tool_choice":"required"})", "tool_choice"},
      {R"({"prompt":{"id":"p"}})", "prompt"},
      {R"({"model":"other"})", "model"},
  };
  for (const auto& [body, param] : cases) {
    const auto reply = Call(router_, "POST", "/v1/responses", body);
    EXPECT_EQ(reply->status, param == "model" ? 404 : 400) << body;
    EXPECT_EQ(Json::parse(reply->body).at("error").at("param"), param) << reply->body;
  }
  EXPECT_TRUE(engine_.jobs.empty());
}

// Changes some bytes, cuts, doubles or inserts parts.
std::string Mutate(std::string text, std::mt19937& random) {
  const std::string_view bytes = "{}[]\":,0-9.ntfe\\u\xff\x80 \n\0";
  for (size_t times = 1 + random() % 4; times > 0 && !text.empty(); --times) {
    const size_t at = random() % text.size(), count = 1 + random() % 8;
    switch (random() % 4) {
      case 0:
        text[at] = bytes[random() % bytes.size()];
        break;
      case 1:
        text.erase(at, count);
        break;
      case 2:
        text.insert(random() % text.size(), text.substr(at, count));
        break;
      default:
        text.insert(at, 1, bytes[random() % bytes.size()]);
    }
  }
  return text;
}

TEST_F(ResponsesTest, MutatedRequestsAreAnsweredOrRefused) {
  store_ = std::make_shared<ResponseStore>(ResponseStoreOptions{.owner_bytes = 100000});
  Router router;
  AddResponseRoutes(router,
                    std::make_shared<ServedModels>(std::vector<std::shared_ptr<const ServedModel>>{
                        ScriptedModel(engine_, "world")}),
                    store_);
  const std::string id =
      AnswerTo(router, "POST", "/v1/responses", R"({"input":"Hi"})").at("id").get<std::string>();
  const std::vector<std::string> valid = {
      R"({"model":"tiny","input":"Hi","instructions":"Be kind.","metadata":{"a":"b"},"stream":true})",
      R"({"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]},{"type":"reasoning",)"
      R"("summary":[],"content":[{"type":"reasoning_text","text":"x"}]},{"type":"function_call",)"
      R"("call_id":"c","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"c",)"
      R"("output":"1"}],"max_output_tokens":3,"temperature":0.5,"store":false})",
      R"({"input":"Hi","previous_response_id":")" + id + R"(","top_logprobs":2,"include":["x"]})",
      R"({"input":"Hi","conversation":{"id":"c"},"background":true,"truncation":"auto"})",
      R"({"input":"Hi","tools":[{"type":"function","name":"f","parameters":{"type":"object"}}],)"
      R"("tool_choice":{"type":"function","name":"f"},"reasoning":{"effort":"low"}})"};
  std::mt19937 random(7);
  std::map<int, size_t> statuses;
  for (size_t i = 0; i < (kSanitized ? 1000 : 10000); ++i) {
    const std::string body = Mutate(valid[i % valid.size()], random);
    const auto reply = Call(router, "POST", "/v1/responses", body);
    ASSERT_TRUE(reply->WaitForEnd()) << body;
    ASSERT_TRUE(reply->status == 200 || (reply->status >= 400 && reply->status < 500))
        << reply->status << reply->body << body;
    ++statuses[reply->status];
    if (reply->streamed) {
      EventsOf(reply->body);
    } else {
      ASSERT_TRUE(Json::accept(reply->body)) << reply->body;
    }
  }
  EXPECT_GT(statuses[200], 50u);
  EXPECT_GT(statuses[400], 50u);
}

}  // namespace
}  // namespace linnet
