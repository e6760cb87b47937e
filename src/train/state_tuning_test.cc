// Tuned initial states: their gradients, and that what is saved is what was learnt.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "linnet/error.h"
#include "models/detect.h"
#include "models/gradient.h"
#include "train/learner.h"
#include "train/new_adapter.h"
#include "train/test_adapters.h"
#include "train/training_file.h"

namespace linnet {
namespace {

using namespace test_adapters;

class StateTuningTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    start_ = folder_ / "start.safetensors";
    WriteNewStates(Checkpoint(Base(GetParam())), start_);
  }

  std::unique_ptr<Learner> NewLearner(LearnerOptions options, size_t threads) {
    static World alone;
    pools_.push_back(std::make_unique<ThreadPool>(threads));
    options.learns = Adapter::Learns;
    Checkpoint checkpoint(Base(GetParam()));
    const Config config = ConfigOf(checkpoint);
    const Adapter adapter(start_, checkpoint);
    return std::make_unique<Learner>(std::move(checkpoint), config, options, *pools_.back(), alone,
                                     std::span(&adapter, 1));
  }

  test::TemporaryFolder folder_;
  fs::path start_;
  std::vector<std::unique_ptr<ThreadPool>> pools_;
};

TEST_P(StateTuningTest, GradientIsTheSlope) {
  Stir(start_);
  ThreadPool pool(2);
  Checkpoint checkpoint(Base(GetParam()));
  const Config config = ConfigOf(checkpoint);
  const Adapter adapter(start_, checkpoint);
  const auto n = Network::Bind(std::move(checkpoint), config, pool,
                               {.gradients = true,
                                .learns = Adapter::Learns,
                                .trained = DType::kF32,
                                .adapters = {&adapter, 1}});
  ASSERT_EQ(n->parameters().size(), config.layers * config.heads);
  AddGradient(*n, kTokens, false, pool);
  const auto values = n->values();
  const std::vector<float> g(n->gradients().begin(), n->gradients().end());
  const std::vector<float> v(values.begin(), values.end());
  double squares = 0;
  for (const float x : g) squares += double{x} * x;
  const double length = std::sqrt(squares);
  ASSERT_GT(length, 1e-3);
  double best = INFINITY;
  for (const double h : {0.01, 0.03, 0.1}) {
    double loss[2];
    for (int side = 0; side < 2; ++side) {
      const double step = (side == 0 ? h : -h) / length;
      for (size_t k = 0; k < v.size(); ++k) values[k] = static_cast<float>(v[k] + step * g[k]);
      loss[side] = AddGradient(*n, kTokens, false, pool);
    }
    best = std::min(best, std::abs((loss[0] - loss[1]) / (2 * h) - length) / length);
  }
  EXPECT_LT(best, 5e-3);
}

std::vector<float> After(Learner& learner, int steps) {
  const auto rows = Rows();
  for (int i = 0; i < steps; ++i) learner.Step(rows, rows.size(), 0.05);
  return {learner.network().values().begin(), learner.network().values().end()};
}

TEST_P(StateTuningTest, ThreadsPassesRecomputingAndResumingChangeNoBit) {
  static World alone;
  for (const DType precision : {DType::kF32, DType::kBF16}) {
    LearnerOptions options;
    options.precision = precision;
    const auto whole = NewLearner(options, 1);
    const auto expected = After(*whole, 4);
    options.rows_per_pass = 1;
    EXPECT_EQ(After(*NewLearner(options, 3), 4), expected) << "row by row, on threads";
    options.recompute = true;
    options.rows_per_pass = 2;
    const auto half = NewLearner(options, 2);
    After(*half, 2);
    const fs::path saved = folder_ / "half.safetensors";
    SaveTraining(*half, alone, saved, {});
    const auto resumed = NewLearner(options, 1);
    LoadTraining(*resumed, alone, saved);
    EXPECT_EQ(After(*resumed, 2), expected) << "recomputed, resumed";
  }
}

// The gradient of a tuned state comes from the chunk in which a document begins and, through the
// states that are carried on, from all that follow.
TEST_P(StateTuningTest, GradientThroughChunksIsThatOfWholeRows) {
  if (std::string(GetParam()) == "7b") GTEST_SKIP() << "attention takes no chunks";
  Stir(start_);
  LearnerOptions options;
  options.precision = DType::kF32;
  const auto gradient = [&](size_t chunk, size_t bptt) {
    options.chunk = chunk;
    options.bptt = bptt;
    const auto learner = NewLearner(options, 2);
    const auto rows = Rows();
    learner->Step(rows, rows.size(), 1e-3);
    const auto g = learner->network().gradients();
    return std::vector<float>(g.begin(), g.end());
  };
  const auto whole = gradient(0, 0);
  for (const size_t chunk : {3, 5, 7}) EXPECT_LT(goldens::Error(gradient(chunk, 0), whole), 1e-5);
  EXPECT_GT(goldens::Error(gradient(5, 1), whole), 1e-2) << "nothing was cut";
}

double Surprise(const float* logits, size_t vocab, int32_t target) {
  double largest = -INFINITY, sum = 0;
  for (size_t i = 0; i < vocab; ++i) largest = std::max(largest, double{logits[i]});
  for (size_t i = 0; i < vocab; ++i) sum += std::exp(logits[i] - largest);
  return largest + std::log(sum) - logits[target];
}

// The loss of the rows, every document from the state in the file.
double LossFrom(const Model& model, const State& start) {
  Workspace workspace({.threads = 2, .exact = true});
  const size_t vocab = model.config().vocab;
  double nats = 0, tokens = 0;
  for (const SampleRow& row : Rows()) {
    for (size_t i = 0; i < row.starts.size(); ++i) {
      const size_t begin = row.starts[i];
      const size_t end = i + 1 < row.starts.size() ? row.starts[i + 1] : row.inputs.size();
      State state = start.Clone();
      std::vector<float> logits((end - begin) * vocab);
      model.Forward({std::span(row.inputs).subspan(begin, end - begin), &state, logits}, workspace);
      for (size_t t = begin; t < end; ++t, ++tokens) {
        nats += Surprise(logits.data() + (t - begin) * vocab, vocab, row.targets[t]);
      }
    }
  }
  return nats / tokens;
}

double LossOf(const fs::path& path, std::vector<AdapterFile> adapters) {
  OpenOptions options;
  options.quant = DType::kF32;
  options.adapters = std::move(adapters);
  const Model model = Model::Open(path, options);
  return LossFrom(model, model.NewState());
}

TEST_P(StateTuningTest, WhatIsSavedGivesTheLossThatTrainingSaw) {
  LearnerOptions options;
  options.precision = DType::kF32;
  const auto learner = NewLearner(options, 2);
  const auto rows = Rows();
  const double first = learner->Step(rows, rows.size(), 0.05).loss;
  for (int i = 0; i < 30; ++i) learner->Step(rows, rows.size(), 0.05);
  const fs::path saved = folder_ / "state.pth";
  SaveAdapter(learner->network(), TensorFile::Open(start_), saved);
  const double loss = learner->Step(rows, rows.size(), 0.05).loss;
  EXPECT_LT(loss, 0.9 * first);

  // Training does not round the rows of attention.
  const Model model = Model::Open(Base(GetParam()), {.rows = RowStorage::kF32});
  EXPECT_NEAR(LossFrom(model, State::Load(saved, model.state_shape())), loss, 1e-5);
  OpenOptions with_state;
  with_state.adapters = {{saved, {}}};
  with_state.rows = RowStorage::kF32;
  const Model tuned = Model::Open(Base(GetParam()), with_state);
  EXPECT_NEAR(LossFrom(tuned, tuned.NewState()), loss, 1e-5);
  EXPECT_EQ(TensorFile::Open(saved).tensors().size(), model.config().layers);
}

// The base with a tuned state in its own file, as ChatRWKV takes it.
fs::path BaseWithState(const std::string& generation, const fs::path& path) {
  std::vector<Values> all;
  for (const fs::path& part : {Base(generation), test::TunedState(generation)}) {
    const TensorFile file = TensorFile::Open(part);
    for (const TensorView& v : file.tensors()) all.push_back({v.name, v.shape, ReadAll(v)});
  }
  WriteValues(path, all);
  return path;
}

TEST_P(StateTuningTest, NewStatesAreThoseOfTheBase) {
  const fs::path base = BaseWithState(GetParam(), folder_ / "base.safetensors");
  WriteNewStates(Checkpoint(base), start_);
  const TensorFile start = TensorFile::Open(start_);
  EXPECT_EQ(start.tensors().size(), 3u);
  for (const TensorView& t : start.tensors()) {
    EXPECT_EQ(ReadAll(t), ReadAll(*Checkpoint(base).Find(t.name))) << t.name;
  }
  // So the model says the same with them.
  EXPECT_EQ(LossOf(base, {{start_, {}}}), LossOf(base, {}));
}

TEST_P(StateTuningTest, AStateInTheBaseStaysAsItIsBesideAnAdapter) {
  const fs::path base = BaseWithState(GetParam(), folder_ / "base.safetensors");
  ThreadPool pool(2);
  World alone;
  NewAdapterOptions factors;
  factors.rank = 4;
  WriteNewAdapter(Checkpoint(base), factors, pool, start_);
  LearnerOptions options;
  options.precision = DType::kF32;
  options.packing.type = DType::kF32;
  options.learns = Adapter::Learns;
  Checkpoint checkpoint(base);
  const Config config = ConfigOf(checkpoint);
  const Adapter adapter(start_, checkpoint);
  Learner learner(std::move(checkpoint), config, options, pool, alone, {&adapter, 1});
  for (const Parameter& p : learner.network().parameters()) {
    EXPECT_NE(TensorFile::Open(start_).Find(p.name), nullptr) << p.name;
  }
  const auto rows = Rows();
  for (int i = 0; i < 10; ++i) learner.Step(rows, rows.size(), 0.02);
  const fs::path saved = folder_ / "adapter.safetensors";
  SaveAdapter(learner.network(), adapter.file(), saved);
  const double loss = learner.Step(rows, rows.size(), 0.02).loss;
  EXPECT_NEAR(LossOf(base, {{saved, {}}}), loss, 1e-5);
  EXPECT_LT(loss, LossOf(base, {}) - 0.1);
}

// ChatRWKV's orientation, by the reference's own file and logits.
TEST_P(StateTuningTest, ReadsTheReferencesStates) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is not there";
  if (std::string(GetParam()) == "7b") GTEST_SKIP() << "the reference has no tuned states of it";
  const std::string model_name = std::string("golden/random-v") + GetParam();
  const std::string name = model_name + ".state";
  const auto golden = TensorFile::Open(goldens::Data(name + ".golden.safetensors"));
  OpenOptions options;
  options.adapters = {{goldens::Data(name + ".pth"), {}}};
  options.quant = DType::kF32;
  const Model model = Model::Open(goldens::Data(model_name + ".pth"), options);
  const auto tokens = goldens::Ids(golden, "tokens");
  std::vector<float> logits(tokens.size() * model.config().vocab);
  State state = model.NewState();
  Workspace workspace({.threads = 1, .exact = true});
  model.Forward({tokens, &state, logits}, workspace);
  EXPECT_LT(goldens::Error(logits, ReadAll(*golden.Find("logits"))), 5e-4);
}

// web-rwkv's files have a state's matrices transposed, as it converts them.
TEST(StateTuning, NewStatesHaveOneOrientation) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is not there";
  const test::TemporaryFolder folder;
  std::vector<Values> all;
  const TensorFile web = TensorFile::Open(goldens::Data("golden/random-v6.webrwkv.st"));
  const TensorFile states = TensorFile::Open(goldens::Data("golden/random-v6.state.pth"));
  for (const TensorView& v : web.tensors()) all.push_back({v.name, v.shape, ReadAll(v)});
  for (const TensorView& v : states.tensors()) {
    all.push_back({v.name, v.shape, ReadAll(v.Transposed())});
  }
  const fs::path base = folder / "base.st", start = folder / "start.safetensors";
  WriteValues(base, all);
  WriteNewStates(Checkpoint(base), start);
  for (const TensorView& v : states.tensors()) {
    EXPECT_EQ(ReadAll(*TensorFile::Open(start).Find(v.name)), ReadAll(v)) << v.name;
  }
}

TEST(StateTuning, HalfAStateInTheBaseIsRefused) {
  const test::TemporaryFolder folder;
  const fs::path start = folder / "start.safetensors";
  for (const auto& [name, what] :
       {std::pair{"blocks.0.att.time_state", "blocks.1.att.time_state is missing"},
        std::pair{"blocks.1.att.time_state", "blocks.1.att.time_state is f32"}}) {
    std::vector<Values> all;
    const TensorFile file = TensorFile::Open(Base("7"));
    for (const TensorView& v : file.tensors()) all.push_back({v.name, v.shape, ReadAll(v)});
    all.push_back({name, {2, 64, 64}, std::vector<float>(2 * 64 * 64)});
    const fs::path base = folder / "base.safetensors";
    WriteValues(base, all);
    try {
      WriteNewStates(Checkpoint(base), start);
      ADD_FAILURE() << name;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(what), std::string::npos) << e.what();
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, StateTuningTest, testing::Values("5.2", "6", "7", "7b"));

TEST(StateTuning, Rwkv4HasNone) {
  const test::TemporaryFolder folder;
  EXPECT_THROW(WriteNewStates(Checkpoint(Base("4")), folder / "state.safetensors"), Error);
  EXPECT_THROW(Adapter(test::TunedState("7"), Checkpoint(Base("4"))), Error);
}

}  // namespace
}  // namespace linnet
