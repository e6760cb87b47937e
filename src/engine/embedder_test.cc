// Vectors of texts are the same alone, in company, in any pass, and by the scheduler.
#include "engine/embedder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "engine/test_jobs.h"
#include "io/test_bytes.h"
#include "linnet/error.h"
#include "models/test_embeddings.h"

namespace linnet {
namespace {

using test::MessageOf;
using Vectors = std::vector<std::vector<float>>;

std::vector<std::string> Texts() {
  std::vector<std::string> texts;
  for (size_t i = 0; i < 23; ++i) {
    std::string text;
    for (size_t k = 0; k <= 3 * i * i % 151; ++k) text += static_cast<char>('a' + (i + k * k) % 26);
    texts.push_back(text);
  }
  return texts;
}

class EmbedderTest : public testing::TestWithParam<Pooling> {
 protected:
  EmbedderTest()
      : model_(Model::Open(GetParam() == Pooling::kEnd ? test::EmbeddingFile()
                                                       : test::ByteModel("7"))),
        tokenizer_(Tokenizer::ForVocabulary(256)),
        embedder_(model_, tokenizer_, {.pooling = GetParam()}) {}

  Vectors Embed(const std::vector<std::string>& texts, Workspace& workspace,
                const EmbedRun& how = {}) {
    std::vector<std::vector<int32_t>> tokens;
    for (const std::string& text : texts) tokens.push_back(embedder_.TokensOf(text));
    Vectors vectors(texts.size());
    EmbedRun run = how;
    run.found = [&](size_t i, std::vector<float> vector) {
      EXPECT_TRUE(vectors[i].empty());
      vectors[i] = std::move(vector);
    };
    EmbedTexts(embedder_, workspace, tokens, run);
    return vectors;
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  const Embedder embedder_;
};

TEST_P(EmbedderTest, DependOnTheTextAlone) {
  Workspace one({.threads = 1}), two({.threads = 2, .max_rows = 37});
  const auto texts = Texts();
  const Vectors all = Embed(texts, two);
  for (size_t i = 0; i < texts.size(); ++i) {
    EXPECT_EQ(Embed({texts[i]}, one)[0], all[i]) << i;
    double length = 0;
    for (const float x : all[i]) length += double{x} * x;
    EXPECT_NEAR(length, 1, 1e-5);
  }
  EXPECT_NE(all[0], all[1]);
  EXPECT_EQ(Embed(texts, one, {.rows = 5}), all);
  EXPECT_EQ(Embed(texts, one, {.rows = 64, .state_bytes = 1}), all);
}

TEST_P(EmbedderTest, AreTheSchedulers) {
  Workspace workspace({.threads = 1});
  const auto texts = Texts();
  const Vectors expected = Embed(texts, workspace);
  Scheduler scheduler(model_, tokenizer_, workspace, nullptr, {.max_running = 4});
  std::vector<std::shared_ptr<test::Recorder>> recorders;
  for (const std::string& text : texts) {
    Job job;
    job.prompt = embedder_.TokensOf(text);
    job.text.max_tokens = 0;
    job.embed = true;
    job.pooling = embedder_.pooling();
    recorders.push_back(std::make_shared<test::Recorder>());
    scheduler.Submit(job, recorders.back());
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    recorders[i]->Wait();
    EXPECT_EQ(embedder_.Finish(recorders[i]->embedding), expected[i]) << i;
  }
}

TEST_P(EmbedderTest, SeveralPoolingsOfOneReadingAreThoseOfEach) {
  if (GetParam() == Pooling::kEnd) return;  // has no other
  Workspace workspace({.threads = 2});
  const auto texts = Texts();
  std::vector<std::vector<int32_t>> tokens;
  for (const std::string& text : texts) tokens.push_back(embedder_.TokensOf(text));
  const Pooling poolings[] = {Pooling::kLast, GetParam()};
  Vectors vectors(texts.size());
  PoolTexts(model_, workspace, tokens, poolings, {},
            [&](size_t i, size_t pooling, std::vector<float> vector) {
              if (pooling == 1) vectors[i] = std::move(vector);
            });
  EXPECT_EQ(vectors, Embed(texts, workspace));
}

TEST_P(EmbedderTest, ProgressCountsAllTokensAndMayEndTheRun) {
  Workspace workspace({.threads = 1});
  size_t last = 0, all = 0;
  Embed(Texts(), workspace, {.rows = 64, .progress = [&](size_t done, size_t total) {
                               EXPECT_GT(done, last);
                               last = done;
                               all = total;
                             }});
  EXPECT_EQ(last, all);
  EXPECT_THROW(Embed(Texts(), workspace, {.progress = [](size_t, size_t) { throw 1; }}), int);
}

INSTANTIATE_TEST_SUITE_P(All, EmbedderTest, testing::ValuesIn(kPoolings),
                         [](const auto& test) { return std::string(Name(test.param)); });

// By hand, from the hidden states of the tokens.
TEST(PoolingTest, WeightsAreTheFormulas) {
  const std::vector<int32_t> text = {7, 9, 9, 3};
  const auto weights = [&](Pooling pooling, size_t first, size_t count) {
    std::vector<float> out(count);
    PoolingWeights(pooling, text, 9, first, out);
    return out;
  };
  using F = std::vector<float>;
  EXPECT_EQ(weights(Pooling::kMean, 0, 4), (F{1, 1, 1, 1}));
  EXPECT_EQ(weights(Pooling::kWeighted, 0, 4), (F{1, 2, 3, 4}));
  EXPECT_EQ(weights(Pooling::kWeighted, 2, 2), (F{3, 4}));
  EXPECT_EQ(weights(Pooling::kLast, 0, 4), (F{0, 0, 0, 1}));
  EXPECT_EQ(weights(Pooling::kLast, 1, 2), (F{0, 0}));
  EXPECT_EQ(weights(Pooling::kEnd, 0, 4), (F{0, 1, 1, 0}));
  EXPECT_EQ(Pooled(std::vector<double>{3, -6}, 3), (F{1, -2}));
  EXPECT_EQ(Pooled(std::vector<double>{0, 0}, 0), (F{0, 0}));
  EXPECT_EQ(Normalized(F{3, -4}), (F{0.6f, -0.8f}));
  EXPECT_EQ(Normalized(F{0, 0}), (F{0, 0}));
  EXPECT_EQ(Normalized(F{INFINITY, 1}), (F{0, 0}));
  EXPECT_EQ(Normalized(F{NAN, 1}), (F{0, 0}));
}

TEST(EmbedderOptionsTest, AModelHasThePoolingOfItsTraining) {
  const Model text = Model::Open(test::ByteModel("7")), vector = Model::Open(test::EmbeddingFile()),
              reranker = Model::Open(test::RerankerFile());
  const std::shared_ptr<const Tokenizer> bytes = Tokenizer::ForVocabulary(256);
  EXPECT_EQ(Embedder(vector, bytes).pooling(), Pooling::kEnd);
  EXPECT_EQ(Embedder(vector, bytes).TokensOf("a"), (std::vector<int32_t>{'a', 255}));
  EXPECT_EQ(Embedder(vector, bytes).Ended({1, 255}), (std::vector<int32_t>{1, 255}));
  EXPECT_EQ(Embedder(text, bytes).TokensOf("a"), (std::vector<int32_t>{'a'}));
  EXPECT_NE(MessageOf([&] {
              Embedder(vector, bytes, {.pooling = Pooling::kMean});
            }).find("was trained for the pooling 'end'"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] {
              Embedder(text, bytes, {.pooling = Pooling::kEnd});
            }).find("not trained to end texts"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] {
              Embedder(text, bytes, {.use = EmbeddingUse::kRetrieval});
            }).find("one vector for all uses"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { Embedder(reranker, bytes); }).find("is a reranker"), std::string::npos);
  // Another head, another vector.
  const std::vector<float> x(128, 0.5f);
  const Embedder retrieval(vector, bytes),
      similarity(vector, bytes, {.use = EmbeddingUse::kSimilarity});
  EXPECT_NE(retrieval.Finish(x), similarity.Finish(x));
  EXPECT_EQ(retrieval.Finish(x, EmbeddingUse::kSimilarity), similarity.Finish(x));
  EXPECT_NE(retrieval.Key(), similarity.Key());
}

class StateRecorder : public test::Recorder {
 public:
  void OnPromptState(const Snapshot& at) override { prompt_state = at.Clone(); }
  std::optional<Snapshot> prompt_state{};
};

// Jobs that need logits are refused before they wait.
TEST(EmbedderOptionsTest, AnEmbeddingModelWritesNoTexts) {
  const Model model = Model::Open(test::EmbeddingFile());
  Workspace workspace({.threads = 1});
  Scheduler scheduler(model, Tokenizer::ForVocabulary(256), workspace, nullptr, {});
  const auto refusal = [&](const std::function<void(Job&)>& change) {
    Job job;
    job.prompt = {1, 2, 3};
    job.text.max_tokens = 0;
    change(job);
    return MessageOf([&] { scheduler.Submit(job, std::make_shared<test::Recorder>()); });
  };
  for (const auto& change : std::vector<std::function<void(Job&)>>{
           [](Job& job) { job.text.max_tokens = 1; }, [](Job& job) { job.continuations = {{1}}; },
           [](Job& job) { job.score_prompt = true; }}) {
    EXPECT_NE(refusal(change).find("it predicts no tokens"), std::string::npos);
  }
  // The state at the end of its prompt has no logits.
  const auto recorder = std::make_shared<StateRecorder>();
  Job job;
  job.prompt = {1, 2, 3};
  job.text.max_tokens = 0;
  job.state_at = 3;
  scheduler.Submit(job, recorder);
  recorder->Wait();
  ASSERT_TRUE(recorder->prompt_state.has_value());
  EXPECT_EQ(recorder->prompt_state->tokens, 3u);
  EXPECT_TRUE(recorder->prompt_state->logits.empty());
}

}  // namespace
}  // namespace linnet
