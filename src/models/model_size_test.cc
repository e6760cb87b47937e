// The memory that is computed from a model's sizes is what opening it takes.
#include "models/model_size.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "linnet/model.h"
#include "models/init.h"
#include "models/model_of.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

TEST(ModelSizeTest, IsWhatAModelReads) {
  for (const Generation generation : kGenerations) {
    const std::string version = Name(generation);
    for (const DType format : {DType::kF32, DType::kBF16, DType::kI8, DType::kNF4}) {
      OpenOptions options;
      options.quant = format;
      const Model model = Model::Open(test::RandomModel(version), options);
      const ModelSize size = SizeOf(model.config(), format);
      EXPECT_EQ(size.matrix_bytes, model.cost().matrix_bytes) << version << " " << Name(format);
      EXPECT_EQ(size.state_bytes, model.state_shape().floats() * sizeof(float)) << version;
    }
  }
}

// Quantized at load, a model needs what stays of it, and room for one tensor of the file.
TEST(ModelSizeTest, OpeningTakesWhatStaysAndTheLargestTensor) {
  for (const Generation generation : kGenerations) {
    const std::string version = Name(generation);
    const auto path = test::RandomModel(version);
    const Model model = Model::Open(path);
    const Checkpoint& checkpoint = CheckpointOf(model);
    uint64_t largest = 0;
    bool has_experts = false;
    for (const TensorView& t : checkpoint.tensors()) {
      const uint64_t bytes = t.elements() * ElementBytes(t.type);
      largest = std::max(largest, bytes);
      const auto place = SplitBlockName(t.name);
      has_experts |= place && SplitExpertName(place->rest);
    }
    if (!has_experts) {
      EXPECT_EQ(MemoryToOpen(checkpoint, {}), checkpoint.file().file_bytes()) << version;
    }
    for (const DType format : {DType::kBF16, DType::kI8, DType::kNF4}) {
      const ModelSize size = SizeOf(model.config(), format);
      const uint64_t stays = size.matrix_bytes + size.vector_bytes;
      // Tables are read from the file, here in f32.
      const uint64_t tables = 2 * SizeOf(model.config(), DType::kBF16).table_bytes;
      const uint64_t need = MemoryToOpen(checkpoint, {.type = format});
      const auto trace = version + " " + Name(format);
      EXPECT_GE(need, stays + largest - stays / 10) << trace;
      EXPECT_LE(need, stays + tables + largest + stays / 50) << trace;
    }
    EXPECT_LT(MemoryToOpen(checkpoint, {.type = DType::kNF4}),
              MemoryToOpen(checkpoint, {.type = DType::kI8}));
    // A part of the layers is between both.
    EXPECT_GT(MemoryToOpen(checkpoint, {.type = DType::kNF4, .layers = 1}),
              MemoryToOpen(checkpoint, {.type = DType::kNF4}));
  }
}

// As the released files have.
TEST(ModelSizeTest, ReleasedSizesHaveTheirParameters) {
  const Config small = NewConfig({.generation = Generation::k7, .layers = 12, .width = 768});
  EXPECT_EQ(SizeOf(small, DType::kBF16).parameters, 191'034'624u);
  const Config next = NewConfig({.generation = Generation::k7, .layers = 24, .width = 1024});
  EXPECT_NEAR(static_cast<double>(SizeOf(next, DType::kBF16).parameters), 450.8e6, 0.1e6);
}

}  // namespace
}  // namespace linnet
