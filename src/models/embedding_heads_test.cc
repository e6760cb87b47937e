// EmbeddingRWKV and its reranker: the vectors and scores of the published code, from its files.
#include "models/embedding_heads.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/error.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/gguf_convert.h"
#include "models/goldens.h"
#include "models/network.h"
#include "models/quantize.h"
#include "models/reranker.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
using test::MessageOf;

constexpr double kTolerance = 5e-5;

class EmbeddingGoldenTest : public testing::Test {
 protected:
  void SetUp() override {
    if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  }
  static std::filesystem::path Base() { return Data("relatives/random-rwkvemb.pth"); }
  static std::filesystem::path Ranker() { return Data("relatives/random-rwkvemb-reranker.pth"); }
  static TensorFile Golden() {
    return TensorFile::Open(Data("relatives/random-rwkvemb.golden.safetensors"));
  }

  // The mean hidden state of the text's tokens with the last id.
  static std::vector<float> Hidden(const Model& model, std::span<const int32_t> tokens) {
    Workspace workspace({.threads = 2, .exact = true});
    State state = model.NewState();
    const auto end = static_cast<int32_t>(model.config().vocab - 1);
    std::vector<float> weights;
    for (const int32_t id : tokens) weights.push_back(id == end ? 1.0f : 0.0f);
    const auto ends = static_cast<double>(std::count(weights.begin(), weights.end(), 1.0f));
    std::vector<double> sums(model.config().width);
    model.Forward({.tokens = tokens,
                   .state = &state,
                   .logits = {},
                   .hidden_sum = sums,
                   .hidden_weights = weights},
                  workspace);
    std::vector<float> mean;
    for (const double sum : sums) mean.push_back(static_cast<float>(sum / ends));
    return mean;
  }
};

TEST_F(EmbeddingGoldenTest, VectorsAreThePublishedCodes) {
  const auto golden = Golden();
  const Model model = Model::Open(Base());
  EXPECT_EQ(model.config().purpose, Purpose::kEmbedding);
  const EmbeddingHeads heads(model);
  const auto expect = [&](EmbeddingUse use, const std::vector<int32_t>& tokens, const char* name) {
    const auto vector = heads.Apply(use, Hidden(model, tokens));
    EXPECT_LE(goldens::Error(vector, ReadAll(*golden.Find(name))), kTolerance) << name;
  };
  auto tokens = goldens::Ids(golden, "tokens");
  expect(EmbeddingUse::kRetrieval, tokens, "embRETR");
  expect(EmbeddingUse::kSimilarity, tokens, "embSTS");
  expect(EmbeddingUse::kClassification, tokens, "embCLS");
  expect(EmbeddingUse::kRetrieval, goldens::Ids(golden, "tokens_two_eos"), "emb_two_eos");
  // The published code pads with token 0, which its state keeps: it is part of the text.
  tokens.insert(tokens.begin(), 5, 0);
  expect(EmbeddingUse::kRetrieval, tokens, "emb_leftpad5");
}

// The golden has the states of two texts, as [layer][text][head][value][key], and their scores.
TEST_F(EmbeddingGoldenTest, ScoresAreThePublishedCodes) {
  const auto golden = Golden();
  const Model model = Model::Open(Base());
  const Reranker reranker(Ranker(), model);
  const auto states = ReadAll(*golden.Find("states"));
  const auto expected = ReadAll(*golden.Find("rerank_logits"));
  const StateShape shape = model.state_shape();
  const auto strides = StridesOf(shape);
  const size_t n = shape.head_size;
  Workspace workspace({.threads = 1, .exact = true});
  std::vector<float> scores;
  for (size_t text = 0; text < 2; ++text) {
    State state = model.NewState();
    for (size_t layer = 0; layer < shape.layers; ++layer) {
      float* to = state.values().data() + strides[layer].begin + strides[layer].att_shift;
      const float* from = &states[(layer * 2 + text) * shape.heads * n * n];
      for (size_t i = 0; i < shape.heads * n * n; ++i) {
        const size_t head = i / (n * n), value = i / n % n, key = i % n;
        to[(head * n + key) * n + value] = from[i];
      }
    }
    scores.push_back(static_cast<float>(reranker.Score(state, workspace)));
  }
  EXPECT_LE(goldens::Error(scores, expected), kTolerance);
}

// The first of the two is the text of the vectors.
TEST_F(EmbeddingGoldenTest, AScoreOfATextIsThePublishedCodes) {
  const auto golden = Golden();
  const Model model = Model::Open(Base());
  const Reranker reranker(Ranker(), model);
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  const auto tokens = goldens::Ids(golden, "tokens");
  model.Forward({.tokens = tokens, .state = &state, .logits = {}}, workspace);
  const float score = static_cast<float>(reranker.Score(state, workspace));
  const auto expected = ReadAll(*golden.Find("rerank_logits"));
  EXPECT_LE(goldens::Error(std::vector{score}, std::vector{expected[0]}), kTolerance);
}

TEST_F(EmbeddingGoldenTest, AConvertedFileGivesTheSameBits) {
  const test::TemporaryFolder folder;
  const auto converted = [&](const std::filesystem::path& in, const char* name) {
    ConvertCheckpoint(Checkpoint(in), folder / name);
    return folder / name;
  };
  const Model model = Model::Open(Base()),
              other = Model::Open(converted(Base(), "emb.safetensors"));
  EXPECT_EQ(other.config().purpose, Purpose::kEmbedding);
  EXPECT_EQ(other.hash(), model.hash());
  const auto tokens = goldens::Ids(Golden(), "tokens");
  const auto hidden = Hidden(model, tokens);
  EXPECT_EQ(Hidden(other, tokens), hidden);
  EXPECT_EQ(EmbeddingHeads(other).Apply(EmbeddingUse::kRetrieval, hidden),
            EmbeddingHeads(model).Apply(EmbeddingUse::kRetrieval, hidden));
  const Reranker first(Ranker(), model), second(converted(Ranker(), "rerank.safetensors"), other);
  Workspace workspace({.threads = 1});
  EXPECT_EQ(first.Score(model.NewState(), workspace), second.Score(other.NewState(), workspace));
}

// What another file would lose, and then run as something else, is not written.
TEST_F(EmbeddingGoldenTest, FilesThatWouldLoseSomethingAreNotWritten) {
  const test::TemporaryFolder folder;
  ThreadPool pool(1);
  const Checkpoint base(Base()), ranker(Ranker());
  EXPECT_NE(MessageOf([&] { ConvertCheckpoint(ranker, folder / "r.pth"); }).find("write .safetens"),
            std::string::npos);
  for (const Checkpoint* c : {&base, &ranker}) {
    EXPECT_NE(MessageOf([&] {
                ConvertToGguf(*c, folder / "m.gguf", GgufType::kF16, {});
              }).find("GGUF has no names"),
              std::string::npos);
  }
  QuantizeOptions int8;
  int8.packing.type = DType::kI8;
  EXPECT_NE(MessageOf([&] {
              QuantizeCheckpoint(ranker, folder / "r.safetensors", pool, int8);
            }).find("is a reranker"),
            std::string::npos);
  // An embedding model keeps its heads.
  QuantizeCheckpoint(base, folder / "e.safetensors", pool, int8);
  const Model packed = Model::Open(folder / "e.safetensors"), model = Model::Open(Base());
  EXPECT_EQ(packed.config().purpose, Purpose::kEmbedding);
  const std::vector<float> x(model.config().width, 0.25f);
  EXPECT_EQ(EmbeddingHeads(packed).Apply(EmbeddingUse::kRetrieval, x),
            EmbeddingHeads(model).Apply(EmbeddingUse::kRetrieval, x));
}

TEST_F(EmbeddingGoldenTest, TheyPredictNoTokens) {
  for (const auto& path : {Base(), Ranker()}) {
    const Model model = Model::Open(path);
    Workspace workspace({.threads = 1});
    State state = model.NewState();
    std::vector<float> logits(model.config().vocab);
    const int32_t id = 0;
    const std::string message = MessageOf([&] {
      model.Forward({{&id, 1}, &state, logits}, workspace);
    });
    EXPECT_NE(message.find("it predicts no tokens"), std::string::npos) << message;
    ThreadPool pool(1);
    Checkpoint checkpoint(path);
    const Config config = ConfigOf(checkpoint);
    EXPECT_NE(MessageOf([&] {
                Network::Bind(std::move(checkpoint), config, pool, {.gradients = true});
              }).find("cannot be trained"),
              std::string::npos);
  }
}

TEST_F(EmbeddingGoldenTest, ARerankerGoesWithItsModel) {
  const Model model = Model::Open(Base()), plain = Model::Open(test::RandomModel("7"));
  EXPECT_NE(MessageOf([&] { Reranker(Base(), model); }).find("expected a reranker"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { Reranker(Ranker(), plain); }).find("goes with an embedding model"),
            std::string::npos);
  EXPECT_NE(MessageOf([&] { EmbeddingHeads{plain}; }).find("has no head for vectors"),
            std::string::npos);
}

// Copies of the reranker's file, which has a list beside its tensors, with another one.
TEST_F(EmbeddingGoldenTest, TheListOfLayersSaysWhichStatesAreRead) {
  const test::TemporaryFolder folder;
  const TensorFile file = TensorFile::Open(Ranker());
  const auto with = [&](const std::string& layers) {
    std::vector<TensorSpec> specs;
    for (const TensorView& t : file.tensors()) {
      specs.push_back({t.name == "reranker.emb.weight" ? "reranker.token.weight" : t.name,
                       SourceType::kF32, t.shape});
    }
    const auto path = folder / "other.safetensors";
    const auto writer = TensorWriter::Create(path, specs, {{"reranker_layer_idx", layers}});
    for (const TensorView& t : file.tensors()) {
      writer->AppendFloats(SourceType::kF32, ReadAll(t));
    }
    writer->Finish();
    return path;
  };
  const Model model = Model::Open(Base());
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  const auto tokens = goldens::Ids(Golden(), "tokens");
  model.Forward({.tokens = tokens, .state = &state, .logits = {}}, workspace);
  const double own = Reranker(Ranker(), model).Score(state, workspace);
  EXPECT_EQ(Reranker(with("1,2"), model).Score(state, workspace), own);  // the file's own
  EXPECT_NE(Reranker(with("0,1"), model).Score(state, workspace), own);
  for (const char* bad : {"0,3", "0", "0,1,2", "-1,0", "a", "", "0,1,"}) {
    EXPECT_NE(MessageOf([&] { Reranker(with(bad), model); }).find("other.safetensors: "),
              std::string::npos)
        << bad;
  }
}

}  // namespace
}  // namespace linnet
