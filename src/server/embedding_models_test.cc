// /v1/embeddings and /v1/rerank of EmbeddingRWKV: the engine's vectors and the reranker's scores.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "engine/embedder.h"
#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "models/reranker.h"
#include "models/test_embeddings.h"
#include "server/embeddings.h"
#include "server/rerank.h"
#include "server/scripted_model.h"

namespace linnet {
namespace {

class EmbeddingModelsTest : public testing::Test {
 protected:
  EmbeddingModelsTest()
      : model_(Model::Open(test::EmbeddingFile())),
        tokenizer_(Tokenizer::ForVocabulary(256)),
        workspace_({.threads = 1}),
        cache_(model_.state_shape(), model_.Identity(workspace_, {.cache = ""}), {}),
        scheduler_(model_, tokenizer_, workspace_, &cache_),
        reranker_(test::RerankerFile(), model_),
        served_(std::make_shared<ServedModel>()) {
    served_->name = "vectors";
    served_->model = &model_;
    served_->tokenizer = tokenizer_;
    served_->vocab = 256;
    served_->cache = &cache_;
    served_->embedder = std::make_shared<const Embedder>(model_, tokenizer_);
    UseScheduler(*served_, scheduler_);
    const auto models = std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{served_});
    AddEmbeddingRoutes(router_, models);
    AddRerankRoutes(router_, models);
  }
  void UseReranker() {
    served_->rerank = [this](const State& state) {
      return reranker_.Score(state, reranker_workspace_);
    };
  }

  Json Post(const std::string& path, const Json& body, int status = 200) {
    return test::AnswerTo(router_, "POST", path, body.dump(), "", status);
  }
  std::vector<float> VectorOf(const Json& body) {
    return Post("/v1/embeddings", body).at("data")[0].at("embedding").get<std::vector<float>>();
  }
  std::vector<float> Expected(const std::string& text, EmbeddingUse use) {
    const Embedder embedder(model_, tokenizer_, {.use = use});
    Workspace own({.threads = 1});
    const std::vector<std::vector<int32_t>> texts = {embedder.TokensOf(text)};
    std::vector<float> vector;
    EmbedTexts(embedder, own, texts,
               {.found = [&](size_t, std::vector<float> found) { vector = std::move(found); }});
    return vector;
  }

  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_, reranker_workspace_{{.threads = 1}};
  StateCache cache_;
  Scheduler scheduler_;
  const Reranker reranker_;
  const std::shared_ptr<ServedModel> served_;
  Router router_;
};

TEST_F(EmbeddingModelsTest, VectorsAreTheEnginesBitForBit) {
  EXPECT_EQ(VectorOf({{"input", "A fox."}}), Expected("A fox.", EmbeddingUse::kRetrieval));
  EXPECT_EQ(VectorOf({{"input", "A fox."}, {"use", "similarity"}}),
            Expected("A fox.", EmbeddingUse::kSimilarity));
  EXPECT_NE(Expected("A fox.", EmbeddingUse::kSimilarity),
            Expected("A fox.", EmbeddingUse::kRetrieval));
  // The end of a text is added to ids too, once.
  EXPECT_EQ(VectorOf({{"input", {'a', 'b'}}}), Expected("ab", EmbeddingUse::kRetrieval));
  EXPECT_EQ(VectorOf({{"input", {'a', 'b', 255}}}), Expected("ab", EmbeddingUse::kRetrieval));
  EXPECT_EQ(Post("/v1/embeddings", {{"input", "a"}, {"use", "other"}}, 400)["error"]["param"],
            "use");
}

TEST_F(EmbeddingModelsTest, RerankingWithoutARerankerComparesVectors) {
  const std::vector<std::string> documents = {"A ship sailed west.", "Who barks?", "Cats purr."};
  const Json answer = Post("/v1/rerank", {{"query", "Who barks?"}, {"documents", documents}});
  EXPECT_EQ(answer["scoring"], "(1 + cosine of the vectors) / 2");
  ASSERT_EQ(answer["results"].size(), 3u);
  EXPECT_EQ(answer["results"][0]["index"], 1);  // the query itself
  const auto query = Expected("Who barks?", EmbeddingUse::kRetrieval);
  for (const Json& result : answer["results"]) {
    const auto vector =
        Expected(documents[result["index"].get<size_t>()], EmbeddingUse::kRetrieval);
    double product = 0;
    for (size_t i = 0; i < vector.size(); ++i) product += double{vector[i]} * double{query[i]};
    EXPECT_NEAR(result["relevance_score"].get<double>(), (1 + product) / 2, 1e-6);
  }
}

TEST_F(EmbeddingModelsTest, RerankingIsTheRerankersProbability) {
  UseReranker();
  const std::vector<std::string> documents = {"A dog barks at night.", "Cats purr.", ""};
  std::vector<double> expected;
  for (const std::string& document : documents) {
    auto tokens = tokenizer_->Encode(
        "Instruct: Given a query, retrieve documents that answer the query\nDocument: " + document +
        "\nQuery: Who barks?");
    tokens.push_back(255);
    State state = model_.NewState();
    Workspace own({.threads = 1});
    model_.Forward({.tokens = tokens, .state = &state, .logits = {}}, own);
    expected.push_back(1 / (1 + std::exp(-reranker_.Score(state, own))));
  }
  EXPECT_NE(expected[0], expected[1]);
  for (int round = 0; round < 2; ++round) {  // the second time from kept states
    const Json answer = Post("/v1/rerank", {{"query", "Who barks?"}, {"documents", documents}});
    EXPECT_EQ(answer["scoring"], "probability by the reranker");
    double last = 1;
    for (const Json& result : answer["results"]) {
      const auto score = result["relevance_score"].get<double>();
      EXPECT_EQ(score, expected[result["index"].get<size_t>()]);
      EXPECT_LE(score, last);
      last = score;
    }
  }
  EXPECT_GE(cache_.statistics().hits, documents.size());
}

}  // namespace
}  // namespace linnet
