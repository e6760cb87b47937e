// The memory that is computed from a model's sizes is what opening it takes.
#include "models/model_size.h"

#include <gtest/gtest.h>

#include <string>

#include "linnet/model.h"
#include "models/init.h"
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

// As the released files have.
TEST(ModelSizeTest, ReleasedSizesHaveTheirParameters) {
  const Config small = NewConfig({.generation = Generation::k7, .layers = 12, .width = 768});
  EXPECT_EQ(SizeOf(small, DType::kBF16).parameters, 191'034'624u);
  const Config next = NewConfig({.generation = Generation::k7, .layers = 24, .width = 1024});
  EXPECT_NEAR(static_cast<double>(SizeOf(next, DType::kBF16).parameters), 450.8e6, 0.1e6);
}

}  // namespace
}  // namespace linnet
