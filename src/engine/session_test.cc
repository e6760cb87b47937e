#include "engine/session.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "linnet/error.h"
#include "models/goldens.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
using goldens::Ids;
using test::LetterModel;

const std::string kPrompt = "\"in the morning, she said. The ";

SamplerOptions Greedy() {
  SamplerOptions options;
  options.temperature = 0;
  options.presence_penalty = options.frequency_penalty = 0;
  return options;
}

SamplerOptions Wild(uint64_t seed) {
  SamplerOptions options = Greedy();
  options.temperature = 1;
  options.top_p = 0.9f;
  options.seed = seed;
  return options;
}

// Everything a session stands on.
struct Bench {
  explicit Bench(const std::filesystem::path& file, size_t threads = 1)
      : model(Model::Open(file)),
        tokenizer(Tokenizer::ForVocabulary(256)),
        workspace({.threads = threads}) {}
  Session NewSession(const SamplerOptions& options) {
    return Session(model, *tokenizer, workspace, {model.NewState(), {}}, Sampler(options));
  }
  std::vector<int32_t> Encode(std::string_view text) const { return tokenizer->Encode(text); }

  Model model;
  std::shared_ptr<const Tokenizer> tokenizer;
  Workspace workspace;
};

std::vector<float> Values(const Snapshot& at) {
  std::vector<float> all(at.state.values().begin(), at.state.values().end());
  all.insert(all.end(), at.logits.begin(), at.logits.end());
  return all;
}

TEST(SessionTest, GreedyTextIsTheReferences) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  for (const char* name : {"tiny-v4", "tiny-v5.0", "tiny-v5.2", "tiny-v6", "tiny-v7"}) {
    Bench bench(Data(std::string("models/") + name + ".pth"));
    const TensorFile golden =
        TensorFile::Open(Data(std::string("models/") + name + ".golden.safetensors"));
    const auto greedy = Ids(golden, "greedy");
    Session session = bench.NewSession(Greedy());
    session.Feed(bench.Encode(kPrompt));
    const Written written = session.Write({.max_tokens = greedy.size(), .stop_ids = {}});
    EXPECT_EQ(written.text, bench.tokenizer->Decode(greedy)) << name;
    EXPECT_EQ(written.tokens, greedy.size());
    EXPECT_EQ(written.finish, Finish::kLength);
    EXPECT_EQ(written.prompt_tokens, kPrompt.size());
  }
}

TEST(SessionTest, SameSeedSameTextOnAnyNumberOfThreads) {
  Bench one(LetterModel("v5.2"), 1), two(LetterModel("v5.2"), 2);
  const auto write = [](Bench& bench, uint64_t seed) {
    Session session = bench.NewSession(Wild(seed));
    session.Feed(bench.Encode(kPrompt));
    return session.Write({.max_tokens = 200}).text;
  };
  const std::string text = write(one, 1);
  EXPECT_EQ(write(one, 1), text);
  EXPECT_EQ(write(two, 1), text);
  EXPECT_NE(write(one, 2), text);
}

TEST(SessionTest, AStopStringAcrossTokensLeavesTheSessionRightBehindTheText) {
  Bench bench(LetterModel("v5.2"));
  Session whole = bench.NewSession(Greedy());
  whole.Feed(bench.Encode(kPrompt));
  const std::string text = whole.Write({.max_tokens = 96}).text;
  const std::string stop = text.substr(40, 4);
  const size_t at = text.find(stop);

  Session stopped = bench.NewSession(Greedy());
  stopped.Feed(bench.Encode(kPrompt));
  std::string shown;
  const Written written = stopped.Write({.max_tokens = 96, .stops = {"never this", stop}},
                                        {.text = [&](std::string_view part) { shown += part; }});
  EXPECT_EQ(written.text, text.substr(0, at));
  EXPECT_EQ(shown, written.text);
  EXPECT_EQ(written.finish, Finish::kStop);

  Session expected = bench.NewSession(Greedy());
  expected.Feed(bench.Encode(kPrompt + written.text));
  EXPECT_EQ(Values(stopped.Here()), Values(expected.Here()));
}

// Every token is two letters, so a stop string can begin inside one.
class PairTokenizer : public Tokenizer {
 public:
  explicit PairTokenizer(std::vector<std::string> pairs) : pairs_(std::move(pairs)) {}
  std::vector<int32_t> Encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    return ids;
  }
  std::string_view Bytes(int32_t id) const override { return pairs_[static_cast<size_t>(id)]; }
  size_t size() const override { return pairs_.size(); }
  const char* name() const override { return "pairs"; }

 private:
  std::vector<std::string> pairs_;
};

TEST(SessionTest, TextBeforeAStopStringInTheSameTokenIsKept) {
  Bench bench(LetterModel("v5.2"));
  std::vector<std::string> pairs(256, "..");
  for (size_t i = 0; i < 256; ++i) pairs[i] = std::string(1, static_cast<char>(i)) + "|";
  const PairTokenizer tokenizer(pairs);
  const auto start = [&] {
    return Session(bench.model, tokenizer, bench.workspace, {bench.model.NewState(), {}},
                   Sampler(Greedy()));
  };
  Session free = start();
  free.Feed(tokenizer.Encode(kPrompt));
  const std::string text = free.Write({.max_tokens = 6}).text;
  ASSERT_EQ(text.size(), 12u);
  const std::string stop = text.substr(3, 4);  // of "s|t|r|e|n|g|" it would be "|r|e"
  const std::string kept = text.substr(0, text.find(stop));

  Session stopped = start();
  stopped.Feed(tokenizer.Encode(kPrompt));
  const Written written = stopped.Write({.max_tokens = 6, .stops = {stop}});
  EXPECT_EQ(written.text, kept);
  // The tokens "s|" and "t|" went back; the text that is kept was read again.
  Session expected = start();
  expected.Feed(tokenizer.Encode(kPrompt + kept));
  EXPECT_EQ(Values(stopped.Here()), Values(expected.Here()));
}

TEST(SessionTest, AStopIdEndsTheTextAndIsNotPartOfIt) {
  Bench bench(LetterModel("v6"));
  Session free = bench.NewSession(Greedy());
  free.Feed(bench.Encode(kPrompt));
  const auto first = bench.Encode(free.Write({.max_tokens = 1}).text);
  ASSERT_EQ(first.size(), 1u);
  Session session = bench.NewSession(Greedy());
  session.Feed(bench.Encode(kPrompt));
  const Written written = session.Write({.max_tokens = 20, .stop_ids = {first[0]}});
  EXPECT_EQ(written.text, "");
  EXPECT_EQ(written.tokens, 0u);
  EXPECT_EQ(written.finish, Finish::kStop);
  Session expected = bench.NewSession(Greedy());
  expected.Feed(bench.Encode(kPrompt));
  EXPECT_EQ(Values(session.Here()), Values(expected.Here()));
}

TEST(SessionTest, ARestoredSessionContinuesBitForBit) {
  Bench bench(LetterModel("v7"));
  Session session = bench.NewSession(Greedy());
  session.Feed(bench.Encode(kPrompt));
  const Snapshot saved = session.Here().Clone();
  const Written first = session.Write({.max_tokens = 40});
  const auto end = Values(session.Here());
  session.Restore(saved);
  const size_t run = session.tokens_run();
  const Written second = session.Write({.max_tokens = 40});
  EXPECT_EQ(second.text, first.text);
  EXPECT_EQ(Values(session.Here()), end);
  EXPECT_EQ(session.tokens_run() - run, 40u);  // the prompt is not run again
}

TEST(SessionTest, ManySequencesInOnePassAreEachAsIfAlone) {
  Bench bench(LetterModel("v6"));
  const std::vector<std::string> texts = {"a", std::string(300, 'b'), "in the morning", "xyz"};
  std::vector<Sequence> together, alone;
  for (const std::string& text : texts) {
    for (auto* group : {&together, &alone}) {
      group->emplace_back(Snapshot{bench.model.NewState(), {}}, Sampler(Greedy()));
      group->back().Feed(bench.Encode(text));
    }
  }
  std::vector<Sequence*> all;
  for (Sequence& s : together) all.push_back(&s);
  size_t run = 0;
  while (const size_t tokens = Advance(bench.model, all, 7, bench.workspace)) {
    EXPECT_LE(tokens, 7 * texts.size());
    run += tokens;
  }
  EXPECT_EQ(run, 1u + 300 + 14 + 3);
  for (size_t i = 0; i < texts.size(); ++i) {
    Sequence* const one = &alone[i];
    while (Advance(bench.model, std::span(&one, 1), 1000, bench.workspace) > 0) {
    }
    EXPECT_TRUE(together[i].ready());
    EXPECT_EQ(Values(together[i].at()), Values(one->at())) << i;
  }
}

TEST(SessionTest, AnEmptyPromptStartsFromTokenZero) {
  Bench bench(LetterModel("v5.2"));
  const auto write = [&](const std::vector<int32_t>& tokens) {
    Session session = bench.NewSession(Greedy());
    session.Feed(tokens);
    return session.Write({.max_tokens = 30}).text;
  };
  EXPECT_EQ(write({}), write({0}));
}

TEST(SessionTest, AnInterruptedPromptStopsBetweenPasses) {
  Bench bench(LetterModel("v5.2"));
  Session session = bench.NewSession(Greedy());
  session.Feed(bench.Encode(std::string(5000, 'a')));
  size_t done = 0;
  const Written written = session.Write(
      {}, {.fed = [&](size_t n, size_t) { done = n; }, .interrupted = [&] { return done > 0; }});
  EXPECT_EQ(written.finish, Finish::kInterrupted);
  EXPECT_EQ(written.text, "");
  EXPECT_GT(done, 0u);
  EXPECT_LT(done, 5000u);
  EXPECT_EQ(session.tokens_run(), done);
}

TEST(SessionTest, ATokenOutsideTheVocabularyIsRefusedAndNothingMoves) {
  Bench bench(LetterModel("v5.2"));
  Session session = bench.NewSession(Greedy());
  session.Feed(bench.Encode("abc"));
  const auto before = Values(session.Here());
  session.Feed(std::vector<int32_t>{'d', 256});
  EXPECT_THROW(session.Here(), Error);
  EXPECT_EQ(session.tokens_run(), 3u);
}

}  // namespace
}  // namespace linnet
