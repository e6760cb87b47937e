// States of clients: a text goes on from a state as if what led to it had been sent again.
#include "server/states.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "base/base64.h"
#include "base/scratch_folder.h"
#include "server/live_model.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/responses.h"
#include "server/scripted_model.h"
#include "server/test_server.h"

namespace linnet {
namespace {

using test::AnswerTo;
using test::Call;

class StatesThreadTest : public testing::Test {
 protected:
  explicit StatesThreadTest(const std::string& version = "7")
      : states_(std::make_shared<KeptStates>(KeptStatesOptions{.folder = folder_.path()})),
        live_(states_, version) {
    AddChat(router_, live_.models());
    AddCompletions(router_, live_.models());
    AddResponseRoutes(router_, live_.models(),
                      std::make_shared<ResponseStore>(ResponseStoreOptions{}));
    AddStateRoutes(router_, live_.models(), states_);
  }

  Json Post(const std::string& path, const Json& body, int status = 200,
            const std::string& owner = "") {
    return AnswerTo(router_, "POST", path, body.dump(), owner, status);
  }
  Json Complete(Json body, int status = 200) {
    body["temperature"] = 0;
    body["max_tokens"] = body.value("max_tokens", 12);
    return Post("/v1/completions", body, status);
  }
  std::string TextOf(const Json& answer) { return answer["choices"][0]["text"]; }
  // What is said to this conversation.
  Json Chat(const Json& messages, Json more = Json::object(), int status = 200) {
    more["messages"] = messages;
    more["temperature"] = 0;
    more["max_tokens"] = 12;
    return Post("/v1/chat/completions", more, status);
  }
  // A list of one would be a copy to some compilers.
  static Json List(std::initializer_list<Json> messages) {
    Json list = Json::array();
    for (const Json& message : messages) list.push_back(message);
    return list;
  }
  static Json User(const std::string& text) { return {{"role", "user"}, {"content", text}}; }
  static Json Reply(const Json& answer) {
    return {{"role", "assistant"}, {"content", answer["choices"][0]["message"]["content"]}};
  }
  static std::string ContentOf(const Json& answer) {
    return answer["choices"][0]["message"]["content"];
  }
  std::string Content(const std::string& id, const std::string& layout) {
    const auto reply = Call(router_, "GET", "/v1/states/" + id + "/content?layout=" + layout);
    EXPECT_TRUE(reply->WaitForEnd());
    EXPECT_EQ(reply->status, 200) << reply->body;
    return reply->body;
  }
  Json PutBytes(const std::string& id, const std::string& query, const std::string& body,
                int status = 200, bool admin = false) {
    auto reply = std::make_shared<test::RecordedReply>();
    HttpRequest request;
    request.method = "PUT";
    request.path = "/v1/states/" + id;
    request.query = query;
    request.body = body;
    request.admin = admin;
    request.headers = {{"content-type", "application/octet-stream"}};
    router_.Handle(std::move(request), reply);
    EXPECT_TRUE(reply->WaitForEnd());
    EXPECT_EQ(reply->status, status) << reply->body;
    return Json::parse(reply->body, nullptr, false);
  }

  test::TemporaryFolder folder_;
  std::shared_ptr<KeptStates> states_;
  test::LiveModel live_;
  Router router_;
};

TEST_F(StatesThreadTest, ATextGoesOnFromAStateAsFromItsText) {
  const Json state = Post("/v1/states", {{"input", "once upon a "}, {"id", "begun"}});
  EXPECT_EQ(state["id"], "begun");
  EXPECT_EQ(state["tokens"], 12);
  EXPECT_EQ(state["lossless"], true);
  EXPECT_EQ(state["identity"], live_.identity);
  const std::string whole = TextOf(Complete({{"prompt", "once upon a time"}}));
  EXPECT_EQ(TextOf(Complete({{"prompt", "time"}, {"state", "begun"}})), whole);
  EXPECT_EQ(TextOf(Complete({{"prompt", "time"}, {"state", {{"id", "begun"}}}})), whole);
  // Without a prompt, from the logits that are kept with it.
  EXPECT_EQ(TextOf(Complete({{"prompt", ""}, {"state", "begun"}})),
            TextOf(Complete({{"prompt", "once upon a "}})));
  // A state on top of another.
  Post("/v1/states", {{"input", "time"}, {"id", "more"}, {"state", "begun"}});
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/more")["tokens"], 16);
  EXPECT_EQ(TextOf(Complete({{"prompt", ""}, {"state", "more"}})), whole);
}

TEST_F(StatesThreadTest, AReturnedStateIsTheTextSoFar) {
  for (const char* stop : {"", "e"}) {
    Json body = {{"prompt", "in the morning"}, {"return_state", true}};
    if (*stop != 0) body["stop"] = stop;
    const Json first = Complete(body);
    const std::string text = TextOf(first);
    const Json& state = first["state"];
    EXPECT_EQ(state["lossless"], true);
    EXPECT_EQ(state["tokens"], 14 + text.size());
    const std::string next =
        TextOf(Complete({{"prompt", " and"}, {"state", {{"data", state["data"]}}}}));
    EXPECT_EQ(next, TextOf(Complete({{"prompt", "in the morning" + text + " and"}})));
  }
  const Json half = Complete({{"prompt", "in the morning"}, {"return_state", "half"}});
  EXPECT_EQ(half["state"]["lossless"], false);
  Complete({{"prompt", " and"}, {"state", {{"data", half["state"]["data"]}}}});
  // Nothing is written: the state of the prompt.
  const Json read = Complete({{"prompt", "ab"}, {"max_tokens", 0}, {"return_state", true}});
  EXPECT_EQ(read["state"]["tokens"], 2);
  EXPECT_EQ(TextOf(Complete({{"prompt", "c"}, {"state", {{"data", read["state"]["data"]}}}})),
            TextOf(Complete({{"prompt", "abc"}})));
}

TEST_F(StatesThreadTest, AConversationInAStateAnswersAsTheWholeConversation) {
  const Json hello = User("hello there"), more = User("tell me more");
  const Json first = Chat(List({hello}), {{"state", {{"id", "talk"}, {"update", true}}}});
  EXPECT_EQ(ContentOf(first), ContentOf(Chat(List({hello}))));
  EXPECT_EQ(first["state"]["id"], "talk");
  const Json whole = Chat(List({hello, Reply(first), more}));
  EXPECT_EQ(ContentOf(Chat(List({more}), {{"state", "talk"}})), ContentOf(whole));
  // In a stream, and by the client's own copy.
  const auto reply = Call(router_, "POST", "/v1/chat/completions",
                          Json{{"messages", List({hello})},
                               {"temperature", 0},
                               {"max_tokens", 12},
                               {"stream", true},
                               {"return_state", "lossless"}}
                              .dump());
  ASSERT_TRUE(reply->WaitForEnd());
  const auto events = test::EventsOf(*reply);
  ASSERT_GE(events.size(), 2u);
  EXPECT_EQ(events.back(), "[DONE]");
  const Json last = Json::parse(events[events.size() - 2]);
  EXPECT_TRUE(last["choices"].empty());
  EXPECT_EQ(ContentOf(Chat(List({more}), {{"state", {{"data", last["state"]["data"]}}}})),
            ContentOf(whole));
  // A response too; what is kept of it has no state in it.
  const Json response = Post("/v1/responses", {{"input", "tell me more"},
                                               {"state", "talk"},
                                               {"temperature", 0},
                                               {"max_output_tokens", 12},
                                               {"return_state", "kept"}});
  EXPECT_EQ(response["output"][0]["content"][0]["text"], ContentOf(whole));
  EXPECT_EQ(
      response["state"]["tokens"].get<int>(),
      AnswerTo(router_, "GET", "/v1/states/" + response["state"]["id"].get<std::string>())["tokens"]
          .get<int>());
  const Json kept = AnswerTo(router_, "GET", "/v1/responses/" + response["id"].get<std::string>());
  EXPECT_FALSE(kept.contains("state"));
}

TEST_F(StatesThreadTest, AStartIsCachedLikeAnyText) {
  Post("/v1/states", {{"input", "you are a bird. "}, {"id", "bird"}});
  const Json one = User("sing a song for me please, a long one");
  const Json first = Chat(List({one}), {{"state", "bird"}});
  const Json second = Chat(List({one, Reply(first), User("again")}), {{"state", "bird"}});
  EXPECT_GT(second["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const Json without =
      Chat(List({one, Reply(first), User("again")}), {{"state", "bird"}, {"no_cache", true}});
  EXPECT_EQ(without["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(ContentOf(second), ContentOf(without));
  // Another start does not find it.
  Post("/v1/states", {{"input", "you are a fish. "}, {"id", "fish"}});
  EXPECT_EQ(
      Chat(List({one}), {{"state", "fish"}})["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
}

TEST_F(StatesThreadTest, OneWriterAtATime) {
  Post("/v1/states", {{"input", "a"}, {"id", "talk"}});
  const auto claim = states_->ClaimWriter("", "talk");
  const Json update = {{"id", "talk"}, {"update", true}};
  EXPECT_EQ(Chat(List({User("hi")}), {{"state", update}}, 409)["error"]["code"], "state_locked");
  Post("/v1/states", {{"input", "b"}, {"id", "talk"}}, 409);
  AnswerTo(router_, "DELETE", "/v1/states/talk", "", "", 409);
  PutBytes("talk", "layout=rwkv.cpp",
           std::string(live_.model.state_shape().floats() * sizeof(float), '\0'), 409);
  Chat(List({User("hi")}), {{"state", "talk"}});  // reading is no writing
  Chat(List({User("hi")}), {{"state", {{"id", "other"}, {"update", true}}}});
}

TEST_F(StatesThreadTest, AWriterThatIsDoneOrFailsGivesUpItsClaim) {
  const Json update = {{"state", {{"id", "talk"}, {"update", true}}}};
  for (int i = 0; i < 3; ++i) Chat(List({User("hi")}), update);
  Json bad = update;
  bad["logit_bias"] = {{"9999", 1}};
  Chat(List({User("hi")}), bad, 400);
  Chat(List({User("hi")}), update);
  // A client that leaves changes nothing.
  const Json before = AnswerTo(router_, "GET", "/v1/states/talk");
  Json body = update;
  body["messages"] = List({User("go on")});
  body["max_tokens"] = 100000;
  body["stream"] = true;
  const auto reply = Call(router_, "POST", "/v1/chat/completions", body.dump());
  reply->WaitForChunks(3);
  reply->Leave();
  while (true) {  // until its place is free
    try {
      states_->ClaimWriter("", "talk");
      break;
    } catch (const RequestError&) {
    }
  }
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/talk")["tokens"], before["tokens"]);
}

TEST_F(StatesThreadTest, TheLayoutsOfOthersComeBack) {
  Post("/v1/states", {{"input", "once upon a "}, {"id", "begun"}});
  const std::string whole = TextOf(Complete({{"prompt", "once upon a time"}}));
  for (const std::string layout : {"signed", "reference", "rwkv.cpp", "web-rwkv"}) {
    const std::string bytes = Content("begun", layout);
    PutBytes("a", "layout=" + layout, bytes);
    EXPECT_EQ(TextOf(Complete({{"prompt", "time"}, {"state", "a"}})), whole) << layout;
    Post("/v1/states",
         {{"id", "b"}, {"layout", layout}, {"data", Base64(std::as_bytes(std::span(bytes)))}});
    EXPECT_EQ(TextOf(Complete({{"prompt", "time"}, {"state", "b"}})), whole) << layout;
    EXPECT_EQ(Post("/v1/states/diff", {{"a", "a"}, {"b", "b"}})["absolute"], 0);
  }
  const Json ai00 = Json::parse(Content("begun", "ai00"));
  EXPECT_EQ(ai00["shape"], (Json{1, 3, 66, 128}));
  Json back = ai00;
  back["layout"] = "ai00";
  back["id"] = "c";
  Post("/v1/states", back);
  EXPECT_EQ(TextOf(Complete({{"prompt", "time"}, {"state", "c"}})), whole);
  back["shape"] = {1, 3, 66, 127};
  Post("/v1/states", back, 400);
  // What is tuned is S alone, so that it differs in the rest.
  PutBytes("tuned", "layout=time_state", Content("begun", "time_state"));
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/tuned")["tuned"], true);
  const Json diff = Post("/v1/states/diff", {{"a", "begun"}, {"b", "tuned"}});
  EXPECT_EQ(diff["layers"].size(), 3u);
  EXPECT_EQ(diff["layers"][0]["S"]["absolute"], 0);
  EXPECT_GT(diff["layers"][0]["att_x"]["absolute"], 0);
  // RWKV-Runner's are the same, in a file of PyTorch.
  const std::string runners = Content("begun", "rwkv-runner");
  EXPECT_EQ(runners.substr(0, 2), "PK");
  PutBytes("runners", "layout=rwkv-runner", runners);
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/runners")["tuned"], true);
  EXPECT_EQ(Post("/v1/states/diff", {{"a", "tuned"}, {"b", "runners"}})["absolute"], 0);
  // Both: the tuned one until the other is there.
  const Json both = {{"id", "new"}, {"tuned", "tuned"}, {"update", true}};
  EXPECT_EQ(TextOf(Complete({{"prompt", "x"}, {"state", both}})),
            TextOf(Complete({{"prompt", "x"}, {"state", {{"tuned", "tuned"}}}})));
  const std::string expected = TextOf(Complete({{"prompt", "y"}, {"state", "new"}}));
  EXPECT_EQ(TextOf(Complete({{"prompt", "y"}, {"state", both}})), expected);
}

TEST_F(StatesThreadTest, EachKnowsWhatItBeganWith) {
  const auto parent = [&](const std::string& id) {
    return AnswerTo(router_, "GET", "/v1/states/" + id)["parent"];
  };
  EXPECT_EQ(Post("/v1/states", {{"input", "once "}, {"id", "root"}})["parent"], Json());
  EXPECT_EQ(Post("/v1/states", {{"input", "upon "}, {"id", "next"}, {"state", "root"}})["parent"],
            "root");
  EXPECT_EQ(Post("/v1/states/next/fork", {{"id", "copy"}})["parent"], "next");
  const Json kept =
      Complete({{"prompt", "a "}, {"state", "copy"}, {"return_state", "kept"}})["state"];
  EXPECT_EQ(parent(kept["id"]), "copy");
  // One that goes on from itself stays where it was.
  Complete({{"prompt", "a "}, {"state", {{"id", "copy"}, {"update", true}}}});
  EXPECT_EQ(parent("copy"), "next");
  EXPECT_EQ(parent(kept["id"]), "copy");
  // What began with one that is gone began with that one's parent.
  AnswerTo(router_, "DELETE", "/v1/states/next");
  EXPECT_EQ(parent("copy"), "root");
  // Another text under an old id: no circle.
  EXPECT_EQ(Post("/v1/states", {{"input", "b"}, {"id", "root"}, {"state", "copy"}})["parent"],
            "copy");
  EXPECT_EQ(parent("copy"), Json());
  // What is brought along began here.
  EXPECT_EQ(PutBytes("in", "layout=signed", Content("copy", "signed"))["parent"], Json());
  // They outlive the server.
  KeptStates again(KeptStatesOptions{.folder = folder_.path()});
  EXPECT_EQ(again.Find("", "root")->parent, "copy");
}

TEST_F(StatesThreadTest, AStateGetsAnotherName) {
  Post("/v1/states", {{"input", "once "}, {"id", "a"}, {"name", "first"}});
  const Json before = AnswerTo(router_, "GET", "/v1/states/a");
  Json renamed = Post("/v1/states/a", {{"name", "second"}});
  EXPECT_EQ(renamed["name"], "second");
  renamed["name"] = "first";
  EXPECT_EQ(renamed, before);
  Post("/v1/states/a", Json::object(), 400);
  Post("/v1/states/a", {{"name", std::string(201, 'x')}}, 400);
  Post("/v1/states/b", {{"name", "x"}}, 404);
  Post("/v1/states/a", {{"name", "x"}}, 404, "anna");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/a")["name"], "second");
}

TEST_F(StatesThreadTest, BadOnesAreRefused) {
  const std::string good(live_.model.state_shape().floats() * sizeof(float), '\0');
  PutBytes("a", "layout=rwkv.cpp", good.substr(1), 422);
  PutBytes("a", "layout=web-rwkv", "no tensors", 422);
  PutBytes("a", "layout=signed", good, 422);
  PutBytes("a", "layout=unknown", good, 400);
  PutBytes("a/b", "layout=rwkv.cpp", good, 404);
  PutBytes("a b", "layout=rwkv.cpp", good, 400);
  Post("/v1/states", {{"data", "???"}}, 400);
  Post("/v1/states", Json::object(), 400);
  Post("/v1/states", {{"input", {"a", "b"}}}, 400);
  Post("/v1/states", {{"input", "a"}, {"model", "none"}}, 404);
  Complete({{"prompt", "a"}, {"state", "none"}}, 404);
  Complete({{"prompt", "a"}, {"state", 7}}, 400);
  Complete({{"prompt", "a"}, {"state", Json::object()}}, 400);
  Complete({{"prompt", "a"}, {"state", {{"tuned", "x"}, {"update", true}}}}, 400);
  Complete({{"prompt", "a"}, {"state", {{"data", "AAAA"}}}}, 422);
  Complete({{"prompt", "a"}, {"return_state", "some"}}, 400);
  Complete({{"prompt", "a"}, {"n", 2}, {"return_state", true}}, 400);
  Complete({{"prompt", {"a", "b"}}, {"return_state", true}}, 400);
  AnswerTo(router_, "GET", "/v1/states/none", "", "", 404);
  AnswerTo(router_, "DELETE", "/v1/states/none", "", "", 404);
}

TEST_F(StatesThreadTest, OwnersHaveTheirOwnAndAdminsShare) {
  Post("/v1/states", {{"input", "a"}, {"id", "x"}}, 200, "anna");
  AnswerTo(router_, "GET", "/v1/states/x", "", "bob", 404);
  Post("/v1/states", {{"input", "bb"}, {"id", "x"}}, 200, "bob");
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/x", "", "anna")["tokens"], 1);
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states", "", "bob")["data"].size(), 1u);
  const std::string bytes(live_.model.state_shape().floats() * sizeof(float), '\0');
  PutBytes("poet", "layout=rwkv.cpp&shared=true", bytes, 403);
  PutBytes("poet", "layout=rwkv.cpp&shared=true", bytes, 200, true);
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/poet", "", "anna")["shared"], true);
  AnswerTo(router_, "DELETE", "/v1/states/poet", "", "anna", 403);
  EXPECT_EQ(AnswerTo(router_, "DELETE", "/v1/states/x", "", "anna")["deleted"], true);
  AnswerTo(router_, "GET", "/v1/states/x", "", "bob");
}

TEST_F(StatesThreadTest, ForksAreEqualAndStaySeparate) {
  Post("/v1/states", {{"input", "once"}, {"id", "a"}});
  const Json fork = Post("/v1/states/a/fork", {{"id", "b"}, {"name", "a copy"}});
  EXPECT_EQ(fork["name"], "a copy");
  EXPECT_EQ(fork["tokens"], 4);
  EXPECT_EQ(Post("/v1/states/diff", {{"a", "a"}, {"b", "b"}})["absolute"], 0);
  Complete({{"prompt", "more"}, {"state", {{"id", "b"}, {"update", true}}}});
  EXPECT_GT(Post("/v1/states/diff", {{"a", "a"}, {"b", "b"}})["absolute"], 0);
  EXPECT_EQ(AnswerTo(router_, "GET", "/v1/states/a")["tokens"], 4);
}

TEST_F(StatesThreadTest, TheyOutliveTheServerAndOnlyTheSameKeyAcceptsThem) {
  Post("/v1/states", {{"input", "once upon a "}, {"id", "begun"}});
  const Json data =
      Complete({{"prompt", "once upon a "}, {"max_tokens", 0}, {"return_state", true}})["state"];
  const std::string whole = TextOf(Complete({{"prompt", "once upon a time"}}));
  const auto answer = [&](const KeptStatesOptions& options, const Json& state, int status) {
    test::LiveModel other(std::make_shared<KeptStates>(options));
    Router router;
    AddCompletions(router, other.models());
    const Json body = {
        {"prompt", "time"}, {"max_tokens", 12}, {"temperature", 0}, {"state", state}};
    return AnswerTo(router, "POST", "/v1/completions", body.dump(), "", status);
  };
  states_ = nullptr;
  EXPECT_EQ(TextOf(answer({.folder = folder_.path()}, "begun", 200)), whole);
  const Json carried = {{"data", data["data"]}};
  EXPECT_EQ(TextOf(answer({.folder = folder_.path()}, carried, 200)), whole);
  answer({}, carried, 422);
  // Another model of the same sizes.
  test::LiveModel v6(std::make_shared<KeptStates>(KeptStatesOptions{.folder = folder_.path()}),
                     "6");
  Router router;
  AddCompletions(router, v6.models());
  AnswerTo(router, "POST", "/v1/completions", Json{{"prompt", "a"}, {"state", "begun"}}.dump(), "",
           422);
}

TEST(KeptStatesThreadTest, KeepsItsLimitsAndPutsADamagedFileAside) {
  const test::TemporaryFolder folder;
  folder.Write("states.sqlite", std::string(5000, 'x'));
  const auto states = std::make_shared<KeptStates>(
      KeptStatesOptions{.folder = folder.path(), .owner_bytes = 300'000});
  EXPECT_TRUE(std::filesystem::exists(folder / "states.sqlite.damaged"));
  const test::LiveModel live(states);
  const Snapshot at{live.model.NewState(), {}};
  Snapshot noise{live.model.NewState(), {}};
  for (float& x : noise.state.values())
    x = std::sin(static_cast<float>(&x - noise.state.values().data()));
  const StateFacts facts{.identity = live.identity};
  states->Put("a", {.id = "small", .facts = facts}, at);
  EXPECT_THROW(
      {
        for (int i = 0; i < 10; ++i) {
          states->Put("a", {.id = std::to_string(i), .facts = facts}, noise);
        }
      },
      RequestError);
  states->Put("b", {.id = "x", .facts = facts}, noise);  // another's limit
  EXPECT_TRUE(states->Find("a", "small"));
  EXPECT_FALSE(states->Find("b", "small"));
}

}  // namespace
}  // namespace linnet
