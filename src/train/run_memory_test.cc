// What a training is predicted to take is what it takes.
#include "train/run_memory.h"

#include <gtest/gtest.h>

#include "base/scratch_folder.h"
#include "models/detect.h"
#include "models/init.h"
#include "train/new_model.h"

namespace linnet {
namespace {

class RunMemoryTest : public ::testing::TestWithParam<Generation> {
 protected:
  InitSizes Sizes(size_t layers, size_t width) const {
    InitSizes sizes;
    sizes.generation = GetParam();
    sizes.layers = layers;
    sizes.width = width;
    sizes.vocab = 300;
    return sizes;
  }

  Learner NewLearner(const InitSizes& sizes, const LearnerOptions& options, ThreadPool& pool) {
    const auto path = folder_ / "model.safetensors";
    WriteNewModel(sizes, {}, 1, path, pool, [] {});
    Checkpoint checkpoint(path);
    const Config config = ConfigOf(checkpoint);
    return Learner(std::move(checkpoint), config, options, pool, world_);
  }

  test::TemporaryFolder folder_;
  World world_;
};

TEST_P(RunMemoryTest, APassIsPredictedFromSmallModels) {
  const InitSizes sizes = Sizes(3, 320);
  for (const bool recompute : {false, true}) {
    for (const size_t chunk : {0, 64}) {
      ThreadPool pool(2);
      LearnerOptions options;
      options.recompute = recompute;
      options.chunk = chunk;
      Learner learner = NewLearner(sizes, options, pool);
      const size_t rows = chunk == 0 ? 4 : 1, length = 256;
      const auto taken = static_cast<double>(learner.replicas().Bytes(rows, length));
      const auto predicted =
          static_cast<double>(PassBytes(NewConfig(sizes), options, rows, length, pool.threads(),
                                        learner.network().values().size()));
      EXPECT_NEAR(predicted / taken, 1, 0.34) << recompute << " " << chunk;
    }
  }
}

TEST_P(RunMemoryTest, ParametersAreCountedFromSizes) {
  const InitSizes sizes = Sizes(2, 128);
  for (const DType precision : {DType::kBF16, DType::kF32}) {
    ThreadPool pool(1);
    LearnerOptions options;
    options.precision = precision;
    options.learns = [](const std::string& name) { return name.find("ffn") == name.npos; };
    const ParameterSizes fresh = SizesOfNew(NewConfig(sizes), options);
    Learner learner = NewLearner(sizes, options, pool);
    const ParameterSizes based =
        SizesOfBase(Checkpoint(folder_ / "model.safetensors"), options, false);
    EXPECT_EQ(fresh.learning, based.learning);
    // Rows of some parameters are padded to a cache line.
    const auto learning = static_cast<double>(learner.network().values().size());
    EXPECT_NEAR(static_cast<double>(fresh.learning) / learning, 1, 0.02);
    EXPECT_NEAR(static_cast<double>(based.fixed) / static_cast<double>(fresh.fixed), 1, 0.1);
  }
}

TEST(RunMemory, AdaptersLeaveTheBaseAlone) {
  test::TemporaryFolder folder;
  ThreadPool pool(1);
  InitSizes sizes;
  sizes.layers = 1;
  sizes.width = 64;
  sizes.vocab = 256;
  WriteNewModel(sizes, {}, 1, folder / "m.safetensors", pool, [] {});
  const ParameterSizes tuned =
      SizesOfBase(Checkpoint(folder / "m.safetensors"), LearnerOptions(), true);
  EXPECT_EQ(tuned.learning, 0u);
  EXPECT_GT(tuned.fixed, 0u);
  EXPECT_EQ(ParameterBytes({1000, 0}, 8, 8, 1), 16000u);   // values, gradients, both moments
  EXPECT_EQ(ParameterBytes({1000, 50}, 8, 2, 2), 20050u);  // two gradients wait, half the moments
}

INSTANTIATE_TEST_SUITE_P(Of, RunMemoryTest,
                         testing::Values(Generation::k4, Generation::k50, Generation::k51,
                                         Generation::k52, Generation::k6, Generation::k7));

}  // namespace
}  // namespace linnet
