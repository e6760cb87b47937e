#include "engine/conversation.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "models/test_models.h"

namespace linnet {
namespace {

std::vector<float> Values(const State& state) {
  return {state.values().begin(), state.values().end()};
}

class ConversationTest : public testing::Test {
 protected:
  void SetUp() override {
    model_ = std::make_unique<Model>(Model::Open(test::LetterModel("v5.2")));
    tokenizer_ = Tokenizer::ForVocabulary(256);
    SamplerOptions options;
    options.top_p = 0.9f;
    options.presence_penalty = options.frequency_penalty = 0;
    session_ = std::make_unique<Session>(*model_, *tokenizer_, workspace_,
                                         Snapshot{model_->NewState(), {}}, Sampler(options));
  }

  static ConversationOptions Form(const char* name) {
    ConversationOptions options;
    options.chat_template = &ChatTemplate::Named(name);
    options.max_tokens = 40;
    return options;
  }

  // The state after this text from the start.
  std::vector<float> After(const std::string& text) {
    Session session(*model_, *tokenizer_, workspace_, {model_->NewState(), {}},
                    Sampler(SamplerOptions()));
    session.Feed(tokenizer_->Encode(text));
    return Values(session.Here().state);
  }

  std::unique_ptr<Model> model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_{{.threads = 1}};
  std::unique_ptr<Session> session_;
};

TEST_F(ConversationTest, TheStateIsThatOfTheWholeTalkAsText) {
  Conversation talk(*session_, Form("world"));
  const std::string one = talk.Ask("Hello\r\n\r\nthere ", {}).text;
  EXPECT_EQ(Values(talk.Here().state), After("User: Hello\nthere\n\nAssistant:" + one));
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After("User: Hello\nthere\n\nAssistant:" + one + "\n\nUser: And?\n\nAssistant:" + two));
}

TEST_F(ConversationTest, ARetryReadsNothingAgain) {
  Conversation talk(*session_, Form("world"));
  talk.Ask("Hello", {});
  const Written first = talk.Ask("Tell me more", {});
  const size_t run = session_->tokens_run();
  const Written second = talk.Retry({});
  // The last token of a reply cut at its length runs, too: it belongs to the history.
  EXPECT_EQ(session_->tokens_run() - run, second.tokens);
  EXPECT_NE(second.text, first.text);
  EXPECT_EQ(talk.steps(), 2u);
}

TEST_F(ConversationTest, AnUndoRunsNothingAndForgetsTheTurn) {
  Conversation talk(*session_, Form("world"));
  const std::string one = talk.Ask("Hello", {}).text;
  talk.Ask("Tell me more", {});
  const size_t run = session_->tokens_run();
  talk.Undo();
  EXPECT_EQ(session_->tokens_run(), run);
  EXPECT_EQ(talk.steps(), 1u);
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After("User: Hello\n\nAssistant:" + one + "\n\nUser: And?\n\nAssistant:" + two));
  talk.Undo();
  talk.Undo();
  EXPECT_EQ(talk.steps(), 0u);
  EXPECT_EQ(Values(talk.Here().state), Values(model_->NewState()));
}

TEST_F(ConversationTest, ThoughtsAreNotPartOfTheHistory) {
  ConversationOptions options = Form("g1");
  options.think = Think::kFree;
  Conversation talk(*session_, options);
  std::string shown;
  const Written written =
      talk.Ask("Hello", {.text = [&](std::string_view text) { shown += text; }});
  EXPECT_TRUE(shown.starts_with(" <think")) << shown;
  EXPECT_EQ(shown, written.text);
  const std::string reply = DropThoughts(written.text);
  EXPECT_EQ(Values(talk.Here().state), After("User: Hello\n\nAssistant:" + (" " + reply)));
  talk.options().think = Think::kNone;
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After("User: Hello\n\nAssistant: " + reply + "\n\nUser: And?\n\nAssistant:" + two));
}

TEST_F(ConversationTest, TheSystemTextComesFirst) {
  ConversationOptions options = Form("world");
  options.system = "Be kind.";
  Conversation talk(*session_, options);
  const std::string one = talk.Ask("Hello", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After("System: Be kind.\n\nUser: Hello\n\nAssistant:" + one));
  talk.options().system = "";
  talk.Reset();
  const std::string two = talk.Ask("Hello", {}).text;
  EXPECT_EQ(Values(talk.Here().state), After("User: Hello\n\nAssistant:" + two));
}

TEST_F(ConversationTest, OldTurnsAreForgottenWhenTheirStatesTakeTooMuch) {
  ConversationOptions options = Form("world");
  options.max_tokens = 3;
  const size_t snapshot = session_->Here().bytes() + 256 * sizeof(float);
  options.history_bytes = 3 * 2 * snapshot;
  Conversation talk(*session_, options);
  for (int i = 0; i < 5; ++i) talk.Ask("Hello", {});
  EXPECT_EQ(talk.steps(), 3u);
  EXPECT_EQ(talk.forgotten(), 2u);
  while (talk.steps() > 0) talk.Undo();
  talk.Ask("Hello", {});  // goes on behind the second turn
  EXPECT_EQ(talk.steps(), 1u);
}

TEST_F(ConversationTest, AnInterruptedPromptIsNoTurn) {
  Conversation talk(*session_, Form("world"));
  const std::string one = talk.Ask("Hello", {}).text;
  const Written nothing = talk.Ask(std::string(3000, 'x'), {.interrupted = [] { return true; }});
  EXPECT_EQ(nothing.finish, Finish::kInterrupted);
  EXPECT_EQ(talk.steps(), 1u);
  EXPECT_EQ(Values(talk.Here().state), After("User: Hello\n\nAssistant:" + one));
}

TEST_F(ConversationTest, GoesOnBehindALoadedState) {
  Conversation talk(*session_, Form("world"));
  const std::string one = talk.Ask("Hello", {}).text;
  Snapshot saved = talk.Here();
  talk.Reset();
  talk.Ask("Something else", {});
  talk.GoTo(std::move(saved));
  EXPECT_FALSE(talk.can_retry());
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After("User: Hello\n\nAssistant:" + one + "\n\nUser: And?\n\nAssistant:" + two));
}

TEST_F(ConversationTest, ALoadAndAResetCanBeTakenBack) {
  Conversation talk(*session_, Form("world"));
  const std::string one = talk.Ask("Hello", {}).text;
  const std::vector<float> behind = Values(talk.Here().state);
  talk.GoTo({model_->NewState(), {}});
  talk.Ask("Something else", {});
  talk.options().system = "Be kind.";
  talk.Reset();
  EXPECT_EQ(talk.system(), "Be kind.");
  EXPECT_EQ(talk.steps(), 4u);
  EXPECT_TRUE(talk.exchanges().empty());
  talk.Undo();
  EXPECT_EQ(talk.system(), "");
  EXPECT_EQ(talk.exchanges().at(0).user, "Something else");
  talk.Undo();
  talk.Undo();
  EXPECT_EQ(Values(talk.Here().state), behind);
  EXPECT_TRUE(talk.can_retry());
  ASSERT_EQ(talk.exchanges().size(), 1u);
  EXPECT_EQ(talk.exchanges()[0].reply, one);
}

TEST_F(ConversationTest, TextsOutliveTheirStates) {
  ConversationOptions options = Form("world");
  options.max_tokens = 3;
  options.history_bytes = 0;
  Conversation talk(*session_, options);
  for (const char* user : {"1", "2", "3"}) talk.Ask(user, {});
  EXPECT_EQ(talk.steps(), 1u);
  const auto said = talk.exchanges();
  ASSERT_EQ(said.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(said[i].user, std::to_string(i + 1));
  talk.Undo();
  EXPECT_EQ(talk.exchanges().size(), 2u);
  EXPECT_EQ(talk.missing(), 0u);
}

TEST_F(ConversationTest, TokensAreThoseOfTheText) {
  Conversation talk(*session_, Form("world"));
  EXPECT_EQ(talk.tokens(), 0u);
  const std::string one = talk.Ask("Hello", {}).text;
  const size_t length = ("User: Hello\n\nAssistant:" + one).size();  // tokens are bytes
  EXPECT_EQ(talk.tokens(), length + 2);                              // with "\n\n"
  EXPECT_TRUE(talk.whole());
  talk.GoTo(talk.Here());
  EXPECT_FALSE(talk.whole());
  talk.Undo();
  EXPECT_TRUE(talk.whole());
  EXPECT_EQ(talk.tokens(), length + 2);
}

TEST_F(ConversationTest, AnotherTemplateCountsFromTheNextTurn) {
  ConversationOptions options = Form("world");
  options.system = "Be kind.";
  Conversation talk(*session_, options);
  EXPECT_THROW(talk.SetTemplate(ChatTemplate::Named("raven"), Think::kLot), Error);
  talk.SetTemplate(ChatTemplate::Named("instruct"), Think::kNone);
  talk.SetTemplate(ChatTemplate::Named("world"), Think::kNone);
  const std::string one = talk.Ask("Hello", {}).text;
  talk.SetTemplate(ChatTemplate::Named("qa"), Think::kNone);
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Values(talk.Here().state), After("System: Be kind.\n\nUser: Hello\n\nAssistant:" + one +
                                             "\n\nQ: And?\n\nA:" + two));
  talk.Undo();
  talk.Undo();  // back to the start, which is as the new template has it
  const std::string again = talk.Ask("Hello", {}).text;
  EXPECT_EQ(Values(talk.Here().state),
            After(ChatTemplate::Named("qa").Opening("Be kind.") + "Q: Hello\n\nA:" + again));
}

}  // namespace
}  // namespace linnet
