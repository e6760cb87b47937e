// Learning against the reference's own runs, and the laws of bits of a step.
#include "train/learner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "base/scratch_folder.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/init.h"
#include "models/schema.h"
#include "models/test_models.h"
#include "train/schedule.h"
#include "train/training_file.h"

namespace linnet {
namespace {

using goldens::Data;

std::vector<SampleRow> RowsOf(const std::vector<std::vector<int32_t>>& rows) {
  std::vector<SampleRow> out;
  for (const auto& row : rows) {
    out.push_back({{row.begin(), row.end() - 1}, {row.begin() + 1, row.end()}, {0}});
  }
  return out;
}

std::unique_ptr<Learner> NewLearner(const std::filesystem::path& model,
                                    const LearnerOptions& options, ThreadPool& pool) {
  static World alone;
  Checkpoint checkpoint(model);
  const Config config = ConfigOf(checkpoint);
  return std::make_unique<Learner>(std::move(checkpoint), config, options, pool, alone);
}

class TraceTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (goldens::Missing()) GTEST_SKIP() << "../shared/data is not there";
  }
};

// RWKV-LM's recipe: a wrong epsilon, a missing ×2 or decay where none belongs all show.
void ExpectTheReferences(const std::string& generation, const LearnerOptions& options) {
  const std::string name = "golden/random-v" + generation;
  const auto golden = nlohmann::json::parse(std::ifstream(Data(name + ".train.json")));
  ThreadPool pool(2);
  const auto learner = NewLearner(Data(name + ".pth"), options, pool);
  const auto batches = golden["tokens"].get<std::vector<std::vector<std::vector<int32_t>>>>();
  const Schedule schedule{6e-4, 6e-5, 2, batches.size()};
  for (size_t step = 0; step < batches.size(); ++step) {
    const double rate = schedule.LearningRate(step);
    EXPECT_NEAR(rate, golden["lr"][step].get<double>(), 1e-15);
    const auto rows = RowsOf(batches[step]);
    const StepReport report = learner->Step(rows, rows.size(), rate);
    EXPECT_NEAR(report.loss, golden["loss"][step].get<double>(), 1e-5) << step;
    const double norm = golden["grad_norm"][step].get<double>();
    EXPECT_NEAR(report.grad_norm, norm, 1e-5 * norm) << step;
  }
  std::map<std::string, double> sums;
  for (const Parameter& p : learner->network().parameters()) {
    for (size_t i = 0; i < p.v.rows * p.v.cols; ++i) sums[p.name] += std::abs(double{p.v.data[i]});
  }
  for (const auto& [parameter, sum] : golden["sum_abs_after"].items()) {
    EXPECT_NEAR(sums[parameter], sum.get<double>(), 1e-5 * sum.get<double>()) << parameter;
  }
}

TEST_P(TraceTest, EightStepsAreTheReferences) {
  ExpectTheReferences(GetParam(), {.precision = DType::kF32});
}

TEST_P(TraceTest, SoAreTheyThroughChunks) {
  ExpectTheReferences(GetParam(), {.precision = DType::kF32, .chunk = 5});
}

INSTANTIATE_TEST_SUITE_P(Generations, TraceTest, testing::Values("4", "5.2", "6", "7"));

// Rows of different documents: some begin in the middle of a row, some targets are not learnt.
std::vector<SampleRow> PackedRows(size_t count, size_t length) {
  std::vector<SampleRow> rows(count);
  uint32_t number = 1;
  const auto next = [&] {
    return static_cast<int32_t>((number = number * 1664525 + 1013904223) >> 8);
  };
  for (size_t i = 0; i < count; ++i) {
    for (size_t t = 0; t < length; ++t) {
      rows[i].inputs.push_back(next() % 320);
      rows[i].targets.push_back(next() % 7 == 0 ? -1 : next() % 320);
    }
    rows[i].starts = {0};
    if (i % 2 == 1) rows[i].starts.push_back(static_cast<uint32_t>(length / 3 + i));
  }
  return rows;
}

std::vector<float> After(const LearnerOptions& options, size_t threads,
                         const std::filesystem::path& model) {
  ThreadPool pool(threads);
  const auto learner = NewLearner(model, options, pool);
  const auto rows = PackedRows(6, 40);
  for (int step = 0; step < 2; ++step) learner->Step(rows, rows.size(), 1e-3);
  const auto values = learner->network().values();
  return {values.begin(), values.end()};
}

bool BitEqual(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

class StepBitsTest : public testing::TestWithParam<const char*> {};

TEST_P(StepBitsTest, ThreadsPassesAndRecomputingChangeNoBit) {
  const auto model = test::RandomModel(GetParam());
  for (const DType precision : {DType::kF32, DType::kBF16}) {
    LearnerOptions options;
    options.precision = precision;
    options.dropout = 0.1f;
    const auto expected = After(options, 1, model);
    EXPECT_TRUE(BitEqual(expected, After(options, 2, model))) << "two replicas";
    EXPECT_TRUE(BitEqual(expected, After(options, 3, model))) << "threads";
    options.rows_per_pass = 2;
    EXPECT_TRUE(BitEqual(expected, After(options, 2, model))) << "passes of two rows";
    options.rows_per_pass = 1;
    options.recompute = true;
    EXPECT_TRUE(BitEqual(expected, After(options, 2, model))) << "recomputed, row by row";
    if (!HasAttention(test::GenerationOf(GetParam()))) options.chunk = 40;
    EXPECT_TRUE(BitEqual(expected, After(options, 2, model))) << "chunks as long as a row";
    options.seed = 2;
    EXPECT_FALSE(BitEqual(expected, After(options, 2, model))) << "another dropout";
  }
}

TEST_P(StepBitsTest, SoItIsThroughChunksOfOneLength) {
  if (HasAttention(test::GenerationOf(GetParam()))) GTEST_SKIP() << "attention takes no chunks";
  const auto model = test::RandomModel(GetParam());
  for (const size_t bptt : {0, 1}) {
    LearnerOptions options;
    options.dropout = 0.1f;
    options.chunk = 9;
    options.bptt = bptt;
    const auto expected = After(options, 1, model);
    options.rows_per_pass = 2;
    EXPECT_TRUE(BitEqual(expected, After(options, 3, model))) << "threads, passes of two rows";
    options.rows_per_pass = 3;
    options.recompute = true;
    EXPECT_TRUE(BitEqual(expected, After(options, 2, model))) << "recomputed";
    options.chunk = 10;
    EXPECT_FALSE(BitEqual(expected, After(options, 2, model))) << "chunks of another length";
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, StepBitsTest,
                         testing::Values("4", "5.0", "5.1", "5.2", "6", "6moe", "7", "7a", "7b",
                                         "goldfinch"));

TEST(LearnerTest, AttentionTakesNoChunks) {
  ThreadPool pool(1);
  LearnerOptions options;
  options.chunk = 64;
  try {
    NewLearner(test::RandomModel("7b"), options, pool);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "chunks of 64 tokens: the attention of RWKV-7b reads all past tokens of a row, which "
              "chunks do not hand on");
    EXPECT_EQ(e.remedy(), Remedy::kWholeRows);
  }
}

TEST(LearnerTest, WhatDoesNotLearnKeepsItsBits) {
  ThreadPool pool(1);
  LearnerOptions options;
  options.learns = [](const std::string& name) { return name.starts_with("head."); };
  const auto learner = NewLearner(test::RandomModel("7"), options, pool);
  ASSERT_EQ(learner->network().parameters().size(), 1u);
  const auto rows = PackedRows(2, 20);
  const double before = learner->Step(rows, 2, 1e-2).loss;
  for (int i = 0; i < 5; ++i) learner->Step(rows, 2, 1e-2);
  EXPECT_LT(learner->Step(rows, 2, 1e-2).loss, before);
  const test::TemporaryFolder folder;
  SaveModel(learner->network(), folder / "after.pth", SourceType::kF32);
  const Checkpoint saved(folder / "after.pth"), base(test::RandomModel("7"));
  for (const TensorView& t : base.tensors()) {
    ASSERT_TRUE(saved.Has(t.name)) << t.name;
    EXPECT_EQ(BitEqual(ReadAll(t), ReadAll(*saved.Find(t.name))), !t.name.starts_with("head."))
        << t.name;
  }
}

// What the error of a step says; empty if there is none.
std::string TroubleOf(Learner& learner, bool sound = false) {
  const auto rows = PackedRows(2, 20);
  try {
    learner.Step(rows, 2, 1e-3);
  } catch (const BadStep& bad) {
    EXPECT_EQ(bad.sound(), sound);
    return bad.what();
  }
  return "";
}

const Parameter& Find(const Learner& learner, const std::string& name) {
  const auto& all = learner.network().parameters();
  const auto found = std::find_if(all.begin(), all.end(), [&](auto& p) { return p.name == name; });
  EXPECT_NE(found, all.end()) << name;
  return *found;
}

// A NaN anywhere spoils all gradients; to blame is the tensor that holds it.
TEST(LearnerTest, AValueThatIsNoNumberIsNamedAndNeverLeftOut) {
  ThreadPool pool(1);
  for (const bool skip : {false, true}) {
    LearnerOptions options;
    options.skip_spikes = skip;
    const auto learner = NewLearner(test::RandomModel("7"), options, pool);
    EXPECT_EQ(TroubleOf(*learner), "");
    const Parameter& p = Find(*learner, "blocks.1.ffn.key.weight");
    for (const float odd : {NAN, -INFINITY}) {
      p.v.data[5000] = odd;
      learner->network().Repack(pool);
      EXPECT_EQ(TroubleOf(*learner).find("step 2: blocks.1.ffn.key.weight holds a"), 0u)
          << TroubleOf(*learner);
    }
  }
}

TEST(LearnerTest, SoIsOneThatDoesNotLearn) {
  ThreadPool pool(1);
  const test::TemporaryFile broken(".safetensors");
  {
    const auto learner = NewLearner(test::RandomModel("7"), {}, pool);
    Find(*learner, "blocks.1.ffn.key.weight").v.data[5] = NAN;
    SaveModel(learner->network(), broken.path(), SourceType::kF32);
  }
  Checkpoint checkpoint(broken.path());
  const Config config = ConfigOf(checkpoint);
  World alone;
  LearnerOptions options;
  options.learns = [](const std::string& name) { return name.starts_with("head."); };
  options.skip_spikes = true;
  Learner learner(std::move(checkpoint), config, options, pool, alone);
  const std::string trouble = TroubleOf(learner);
  EXPECT_EQ(trouble.find("step 1: " + broken.path().string() + ": blocks.1.ffn.key.weight holds"),
            0u)
      << trouble;
}

// All values are finite, but the products of some are not.
TEST(LearnerTest, StepsAreNotLeftOutForEver) {
  ThreadPool pool(1);
  LearnerOptions options;
  options.skip_spikes = true;
  const auto learner = NewLearner(test::RandomModel("7"), options, pool);
  const Parameter& p = Find(*learner, "blocks.1.ffn.value.weight");
  for (size_t i = 0; i < p.v.rows * p.v.cols; ++i) p.v.data[i] = 1e38f;
  learner->network().Repack(pool);
  const auto rows = PackedRows(2, 20);
  for (size_t i = 1; i < kMostSkipped; ++i) {
    const StepReport report = learner->Step(rows, 2, 1e-3);
    EXPECT_TRUE(report.skipped);
    EXPECT_NE(report.trouble.find("blocks.1.ffn.value.weight reaches 1e+38"), std::string::npos)
        << report.trouble;
  }
  const std::string trouble = TroubleOf(*learner);
  EXPECT_NE(trouble.find("so were the 19 steps before"), std::string::npos) << trouble;
}

// Where the loss nears zero gradients of all sizes come; clipping makes those above it harmless
// only up to a point.
TEST(LearnerTest, ASpikeIsFarAboveTheUsualAndAboveTheClip) {
  ThreadPool pool(1);
  const auto step = [&](double usual, double clip, bool skip) {
    LearnerOptions options;
    options.clip = clip;
    options.skip_spikes = skip;
    const auto learner = NewLearner(test::RandomModel("7"), options, pool);
    Learner::Memory memory;
    memory.norms.assign(40, usual);
    learner->Restore(memory);
    return learner->Step(PackedRows(1, 20), 1, 1e-3);
  };
  const double norm = step(1e9, 1, false).grad_norm;
  EXPECT_THROW(step(norm / 30, norm / 2, false), Error);
  EXPECT_THROW(step(norm / 30, 0, false), Error);  // nothing is clipped
  EXPECT_NO_THROW(step(norm / 10, norm / 2, false));
  EXPECT_NO_THROW(step(norm / 30, norm * 2, false));
  const StepReport skipped = step(norm / 30, norm / 2, true);
  EXPECT_TRUE(skipped.skipped);
  EXPECT_NE(skipped.trouble.find("usually"), std::string::npos) << skipped.trouble;
}

TEST(LearnerTest, IdsOutsideTheVocabularyAreRefused) {
  ThreadPool pool(1);
  const auto learner = NewLearner(test::RandomModel("7"), {}, pool);
  auto rows = PackedRows(1, 20);
  rows[0].targets[3] = 320;
  EXPECT_THROW(learner->Step(rows, 1, 1e-3), Error);
}

// The v7 schedule's numbers are held by the traces; here its ends.
TEST(Schedule, WarmsUpAndEndsAtTheLastRate) {
  const Schedule s{1e-3, 1e-4, 10, 100};
  EXPECT_NEAR(s.LearningRate(0), 1e-5, 1e-18);
  EXPECT_NEAR(s.LearningRate(10), 1e-3, 1e-15);
  EXPECT_NEAR(s.LearningRate(100), 1e-4, 1e-15);
  EXPECT_NEAR(s.LearningRate(1000), 1e-4, 1e-15);
}

// configure_optimizers in RWKV-LM's train_temp/src/model.py.
TEST(Groups, AreTheReferences) {
  const auto group = [](Generation g, const char* name, std::vector<size_t> shape) {
    return GroupOf(g, name, shape);
  };
  EXPECT_EQ(group(Generation::k7, "blocks.0.att.w0", {1, 1, 64}).rate, 2);
  EXPECT_FALSE(group(Generation::k7, "blocks.0.att.w0", {1, 1, 64}).decay);
  EXPECT_TRUE(group(Generation::k7, "blocks.0.att.key.weight", {64, 64}).decay);
  EXPECT_TRUE(group(Generation::k7, "emb.weight", {320, 64}).decay);
  EXPECT_FALSE(group(Generation::k7, "blocks.0.ln1.weight", {64}).decay);
  EXPECT_FALSE(group(Generation::k7, "blocks.0.att.w1", {64, 32}).decay);
  EXPECT_FALSE(group(Generation::k7, "blocks.0.att.r_k", {2, 32}).decay);
  EXPECT_EQ(group(Generation::k6, "blocks.0.att.time_decay", {1, 1, 64}).rate, 2);
  EXPECT_EQ(group(Generation::k6, "blocks.0.att.time_decay_w1", {64, 32}).rate, 1);
  EXPECT_FALSE(group(Generation::k6, "blocks.0.att.time_maa_w1", {64, 160}).decay);
  EXPECT_EQ(group(Generation::k4, "blocks.0.att.time_first", {64}).rate, 3);
}

}  // namespace
}  // namespace linnet
