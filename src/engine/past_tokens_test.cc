// Models with attention in sessions and conversations: going back, forks and batches leave the rows
// of past tokens as if the text had been read from the start.
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "engine/conversation.h"
#include "engine/session.h"
#include "linnet/error.h"
#include "models/test_models.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

SamplerOptions MostLikely() {
  SamplerOptions options;
  options.temperature = 0;
  options.presence_penalty = options.frequency_penalty = 0;
  return options;
}

// All that a snapshot remembers: values, token ids, rows and logits, and the finished rows, in
// bytes.
std::string Everything(const Snapshot& at) {
  std::string all;
  const auto add = [&](const auto& values) {
    const auto bytes = std::as_bytes(std::span(values));
    all.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  for (const StateTensor& t : at.state.ToReference()) {
    add(t.values);
    add(t.ids);
  }
  add(at.logits);
  const TokenMemory& finished = at.state.past()->finished;
  if (finished.layout() == nullptr) return all;
  for (size_t slot = 0; slot < finished.layout()->slots().size(); ++slot) {
    for (size_t t = 0; t < finished.tokens(); ++t) {
      add(std::span(finished.Row(slot, t), finished.layout()->row_bytes(slot)));
    }
  }
  return all;
}

class PastTokensTest : public testing::TestWithParam<RowStorage> {
 protected:
  PastTokensTest() : model_(Model::Open(test::LetterModel("7b"), {.rows = GetParam()})) {}

  Session NewSession(const SamplerOptions& options = MostLikely()) {
    return Session(model_, *tokenizer_, workspace_, {model_.NewState(), {}}, Sampler(options));
  }
  std::vector<int32_t> Encode(std::string_view text) const { return tokenizer_->Encode(text); }

  // After this text, read from the start.
  std::string After(const std::string& text) {
    Session session = NewSession();
    session.Feed(Encode(text));
    return Everything(session.Here());
  }

  static ConversationOptions Form() {
    ConversationOptions options;
    options.chat_template = &ChatTemplate::Named("world");
    options.max_tokens = 40;
    return options;
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_ = Tokenizer::ForVocabulary(256);
  Workspace workspace_{{.threads = 2}};
};

// Longer than a page of rows.
const std::string kOpening = "in the morning, she said, when the others had gone, the ";

TEST_P(PastTokensTest, AStopStringLeavesTheSessionRightBehindTheText) {
  Session whole = NewSession();
  whole.Feed(Encode(kOpening));
  const std::string text = whole.Write({.max_tokens = 96}).text;
  const std::string stop = text.substr(40, 4);
  Session stopped = NewSession();
  stopped.Feed(Encode(kOpening));
  const Written written = stopped.Write({.max_tokens = 96, .stops = {stop}});
  EXPECT_EQ(written.text, text.substr(0, text.find(stop)));
  EXPECT_EQ(stopped.Here().state.tokens(), kOpening.size() + written.text.size());
  EXPECT_EQ(Everything(stopped.Here()), After(kOpening + written.text));
}

TEST_P(PastTokensTest, ARestoredSessionAndAForkContinueBitForBit) {
  Session session = NewSession();
  session.Feed(Encode(kOpening));
  const Snapshot saved = session.Here().Clone();
  const std::string first = session.Write({.max_tokens = 70}).text;
  const std::string end = Everything(session.Here());
  session.Restore(saved);
  session.Feed(Encode("another way"));
  EXPECT_EQ(Everything(session.Here()), After(kOpening + "another way"));
  session.Restore(saved);
  EXPECT_EQ(session.Write({.max_tokens = 70}).text, first);
  EXPECT_EQ(Everything(session.Here()), end);
  EXPECT_EQ(Everything(saved), After(kOpening));
}

TEST_P(PastTokensTest, ManySequencesInOnePassAreEachAsIfAlone) {
  const std::vector<std::string> texts = {"a", std::string(300, 'b'), kOpening, "xyz"};
  std::vector<Sequence> together;
  together.reserve(texts.size());
  std::vector<Sequence*> all;
  for (const std::string& text : texts) {
    together.emplace_back(Snapshot{model_.NewState(), {}}, Sampler(MostLikely()));
    together.back().Feed(Encode(text));
    all.push_back(&together.back());
  }
  while (Advance(model_, all, 7, workspace_) > 0) {
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(Everything(together[i].at()), After(texts[i])) << i;
  }
}

TEST_P(PastTokensTest, AnUndoneTurnIsForgottenAndTheTalkGoesOn) {
  Session session = NewSession();
  Conversation talk(session, Form());
  const std::string one = talk.Ask("Hello", {}).text;
  talk.Ask("Tell me more", {});
  const size_t run = session.tokens_run();
  talk.Undo();
  EXPECT_EQ(session.tokens_run(), run);
  const std::string two = talk.Ask("And?", {}).text;
  EXPECT_EQ(Everything(talk.Here()),
            After("User: Hello\n\nAssistant:" + one + "\n\nUser: And?\n\nAssistant:" + two));
  Session fresh = NewSession();
  Conversation straight(fresh, Form());
  straight.Ask("Hello", {});
  EXPECT_EQ(straight.Ask("And?", {}).text, two);
  EXPECT_EQ(Everything(straight.Here()), Everything(talk.Here()));
}

TEST_P(PastTokensTest, ARetryAndAResetGoBack) {
  Session session = NewSession();
  Conversation talk(session, Form());
  const std::string one = talk.Ask("Hello", {}).text;
  const std::string behind = Everything(talk.Here());
  EXPECT_EQ(talk.Retry({}).text, one);
  EXPECT_EQ(Everything(talk.Here()), behind);
  talk.Reset();
  EXPECT_EQ(talk.state().tokens(), 0u);
  EXPECT_EQ(talk.Ask("Hello", {}).text, one);
  EXPECT_EQ(Everything(talk.Here()), behind);
  talk.Undo();
  talk.Undo();
  EXPECT_EQ(Everything(talk.Here()), behind);
}

// The steps of a talk share their rows, so that a long one can be undone as far as a short one.
TEST_P(PastTokensTest, StepsShareRows) {
  Session session = NewSession();
  ConversationOptions options = Form();
  options.max_tokens = 3;
  const StateShape shape = model_.state_shape();
  const size_t own = (shape.floats() + 256) * sizeof(float) + 64 * shape.token_bytes();
  options.history_bytes = 3 * 2 * own;
  Conversation talk(session, options);
  talk.Ask(std::string(1000, 'a'), {});
  for (int i = 0; i < 4; ++i) talk.Ask("Hello", {});
  EXPECT_EQ(talk.steps(), 3u);
  EXPECT_GT(talk.Here().bytes(), own);
}

TEST_P(PastTokensTest, TheLimitEndsAReplyAndTheTalkGoesOnBeforeIt) {
  const size_t bytes = model_.state_shape().token_bytes();
  const Model small =
      Model::Open(test::LetterModel("7b"), {.rows = GetParam(), .row_limit = 100 * bytes});
  Session session(small, *tokenizer_, workspace_, {small.NewState(), {}}, Sampler(MostLikely()));
  Conversation talk(session, Form());
  const std::string one = talk.Ask("Hello", {}).text;
  const std::string behind = Everything(talk.Here());
  try {
    talk.Ask("This is too long to be answered", {});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::kNoMemory);
    EXPECT_EQ(e.remedy(), Remedy::kMoreRows);
  }
  EXPECT_EQ(Everything(talk.Here()), behind);
}

INSTANTIATE_TEST_SUITE_P(Rows, PastTokensTest,
                         testing::Values(RowStorage::kF16, RowStorage::kF32, RowStorage::kCompact),
                         [](const auto& test) {
                           return test.param == RowStorage::kF16   ? "f16"
                                  : test.param == RowStorage::kF32 ? "f32"
                                                                   : "compact";
                         });

}  // namespace
}  // namespace linnet
