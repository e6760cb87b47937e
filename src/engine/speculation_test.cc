// Where guesses come from, how many are worth a row, and that those of a text that repeats are
// right.
#include "engine/speculation.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "engine/draft_model.h"
#include "engine/ngram_index.h"
#include "engine/sequence.h"
#include "engine/session.h"
#include "models/test_models.h"

namespace linnet {
namespace {

std::vector<int32_t> Ids(const std::string& text) { return {text.begin(), text.end()}; }

TEST(NgramIndexTest, FindsTheNewestPlaceOfTheLongestMatch) {
  NgramIndex index;
  EXPECT_FALSE(index.After(index.tokens()));
  for (const int32_t id : Ids("abcd abce bcf")) index.Push(id);
  EXPECT_EQ(index.After(Ids("xabc")), 8u);
  EXPECT_EQ(index.After(Ids("bc")), 12u);
  EXPECT_EQ(index.After(Ids("zbc")), 12u);  // only two match
  EXPECT_FALSE(index.After(Ids("cf")));     // nothing follows
  EXPECT_FALSE(index.After(Ids("c")));
  EXPECT_EQ(index.AfterFrom(Ids("abc"), 0), 3u);
  EXPECT_EQ(index.AfterFrom(Ids("abc"), 4), 8u);
  EXPECT_EQ(index.AfterFrom(Ids("abc"), 9), 12u);
  EXPECT_FALSE(index.AfterFrom(Ids("abc"), 13));
}

TEST(NgramIndexTest, ForgetsTheOlderHalf) {
  NgramIndex index(8);
  for (const int32_t id : Ids("abcdefgh")) index.Push(id);
  EXPECT_TRUE(index.After(Ids("abc")));
  index.Push('x');
  EXPECT_EQ(std::string(index.tokens().begin(), index.tokens().end()), "efghx");
  EXPECT_FALSE(index.After(Ids("abc")));
  EXPECT_EQ(index.After(Ids("fgh")), 4u);
}

TEST(PassTimesTest, LieBetweenThoseMeasured) {
  PassTimes times;
  EXPECT_EQ(times.Of(5), 0);
  times.Took(1, 0.010);
  EXPECT_GT(times.Of(9), 0.010);
  times.Took(16, 0.040);
  EXPECT_NEAR(times.Of(4), 0.016, 1e-9);
  EXPECT_NEAR(times.Of(1), 0.010, 1e-9);
  EXPECT_GT(times.Of(20), 0.040);
}

// The first pass of a process is slow, and must not make guesses look cheap for long.
TEST(PassTimesTest, ShorterTimesAreBelievedSooner) {
  PassTimes times;
  times.Took(1, 0.1);
  for (int i = 0; i < 8; ++i) times.Took(1, 0.01);
  EXPECT_LT(times.Of(1), 0.013);
  for (int i = 0; i < 3; ++i) times.Took(1, 0.1);
  EXPECT_LT(times.Of(1), 0.02);
}

TEST(PassTimesTest, FewerRowsDoNotTakeLonger) {
  PassTimes times;
  times.Took(1, 0.010);
  times.Took(16, 0.090);  // the first of its size, in a slow moment
  times.Took(32, 0.041);
  EXPECT_NEAR(times.Of(16), 0.025, 1e-9);
}

TEST(PassTimesTest, AsManyGuessesAsPay) {
  PassTimes times;
  EXPECT_EQ(times.Guesses(1, 1, {.guesses = 9, .acceptance = 0.9}), 0u);
  for (const size_t rows : {1, 4, 8, 16, 32}) {
    times.Took(rows, 0.010 + 0.001 * static_cast<double>(rows));
  }
  const auto with = [&](double acceptance, double guess_s = 0) {
    return times.Guesses(1, 1, {.guesses = 31, .acceptance = acceptance, .guess_s = guess_s});
  };
  EXPECT_EQ(with(0.02), 0u);
  EXPECT_GT(with(0.3), 0u);
  EXPECT_GT(with(0.9), with(0.5));
  EXPECT_GE(with(0.999), 28u);
  // A model that guesses costs time too.
  EXPECT_LT(with(0.9, 0.004), with(0.9));
  EXPECT_EQ(with(0.9, 0.02), 0u);
  EXPECT_GT(with(0.5, 1e-9), 0u);
  EXPECT_EQ(with(0.3, 1e-9), 0u);  // would gain, but too little to be certain
  // In a pass that is full a row costs what a text would gain.
  PassTimes full;
  for (const size_t rows : {1, 8, 64}) full.Took(rows, 0.01 * static_cast<double>(rows));
  EXPECT_EQ(full.Guesses(16, 16, {.guesses = 8, .acceptance = 0.9}), 0u);
}

class GuessTest : public testing::Test {
 protected:
  // The guesses after the text, with at most `room`.
  std::string After(Speculation& speculation, size_t room = 32) {
    const size_t found = speculation.Look(room).guesses;
    const auto guesses = speculation.Make(found, sampler_, workspace_);
    return {guesses.begin(), guesses.end()};
  }
  void Write(Speculation& speculation, const std::string& text) {
    for (const int32_t id : Ids(text)) speculation.Wrote(id);
  }

  const Sampler sampler_{SamplerOptions{}};
  Workspace workspace_{{.threads = 1}};
};

TEST_F(GuessTest, FollowAPredictionPastTokensThatDiffer) {
  Speculation speculation(
      {.most = SpeculationOptions::kAuto, .prediction = Ids("the quick brown fox")}, 256);
  EXPECT_EQ(After(speculation), "the quick brown fox");
  Write(speculation, "the ");
  EXPECT_EQ(After(speculation, 5), "quick");
  Write(speculation, "sl");  // two others: the place is kept
  EXPECT_EQ(After(speculation, 4), "ick ");
  Write(speculation, "ow and brown");  // found again
  EXPECT_EQ(After(speculation), " fox");
  Write(speculation, " fox");
  EXPECT_EQ(After(speculation), "");
}

// A text that differs from its prediction at even distances is worth guesses up to there.
TEST_F(GuessTest, AreAsManyAsHeldInEarlierPasses) {
  Speculation speculation(
      {.most = SpeculationOptions::kAuto, .prediction = Ids(std::string(99, 'a'))}, 256);
  PassTimes times;
  for (const size_t rows : {1, 4, 16, 32}) {
    times.Took(rows, 0.01 + 0.0002 * static_cast<double>(rows));
  }
  const auto plan = [&] { return times.Guesses(1, 1, speculation.Look(32)); };
  for (int pass = 0; pass < 12; ++pass) {
    speculation.Look(32);
    speculation.Checked(32, 9);
  }
  EXPECT_EQ(plan(), 9u);
  // Later ones are guessed again once they hold.
  for (int pass = 0; pass < 12; ++pass) speculation.Checked(32, 32);
  EXPECT_GT(plan(), 20u);
}

TEST_F(GuessTest, ComeFromWhatFollowedTheSameTokens) {
  Speculation speculation({.most = 6}, 256);
  speculation.Read(Ids("one two three. one tw"));
  EXPECT_EQ(After(speculation), "o thre");
  Write(speculation, "x");
  EXPECT_EQ(After(speculation), "");
}

TEST_F(GuessTest, OfASourceThatFailsAreOfferedNowAndThen) {
  Speculation speculation({.most = SpeculationOptions::kAuto}, 256);
  PassTimes times;
  for (const size_t rows : {1, 4, 16, 32})
    times.Took(rows, 0.01 + 0.001 * static_cast<double>(rows));
  size_t guessed = 0;
  for (int i = 0; i < 1000; ++i) {
    speculation.Read(Ids("abc"));
    const size_t count = times.Guesses(1, 1, speculation.Look(32));
    guessed += count;
    speculation.Checked(count, 0);
  }
  EXPECT_GT(guessed, 20u);
  EXPECT_LT(guessed, 160u);
}

// A draft that lags by a token would change no text, only be wrong.
TEST(DraftModelTest, GuessesWhatItWouldWriteItself) {
  const auto model = std::make_shared<const Model>(Model::Open(test::LetterModel("7")));
  const auto tokenizer = Tokenizer::ForVocabulary(256);
  for (const float temperature : {0.0f, 1.5f}) {
    Workspace workspace({.threads = 1});
    SamplerOptions options;
    options.temperature = temperature;
    options.top_p = 0;
    DraftModel draft(model);
    std::string text = "hello", guessed;
    draft.Read(Ids(text));
    Session session(*model, *tokenizer, workspace, {model->NewState(), {}},
                    Sampler(options, tokenizer));
    session.Feed(Ids(text));
    Writing writing(session, {.max_tokens = 60, .stop_ids = {}});
    for (size_t i = 0; writing.Step(); ++i) {
      const std::string written = writing.written().text;
      if (i % 4 == 0 && i > 0) {
        EXPECT_TRUE(written.starts_with(guessed)) << i;
      }
      draft.Read(Ids(written.substr(text.size() - 5)));
      text = "hello" + written;
      if (i % 4 != 0) continue;
      const auto guesses = draft.Guess(4, session.sampler(), workspace);
      guessed = written + std::string(guesses.begin(), guesses.end());
      EXPECT_EQ(guessed.size(), written.size() + 4);
    }
    EXPECT_EQ(text.size(), 65u);
  }
}

TEST(SpeculationTest, WithADraftTakesFewerPasses) {
  const auto model = std::make_shared<const Model>(Model::Open(test::LetterModel("7")));
  const auto tokenizer = Tokenizer::ForVocabulary(256);
  Workspace workspace({.threads = 1});
  Session session(*model, *tokenizer, workspace, {model->NewState(), {}},
                  Sampler(SamplerOptions{}, tokenizer));
  session.Speculate({.most = 4, .draft = model});
  session.Feed(Ids("hello"));
  session.Write({.max_tokens = 100, .stop_ids = {}});
  const SpeculationCounts counts = session.speculation();
  EXPECT_GE(counts.accepted, 70u);
  EXPECT_LT(counts.passes, 40u);
}

}  // namespace
}  // namespace linnet
