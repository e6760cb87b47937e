#include "models/gguf_convert.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "io/ggml_tensor.h"
#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/error.h"
#include "models/hash.h"
#include "models/test_models.h"

namespace linnet {
namespace {

class GgufConvertTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    std::string name = test->name();
    std::replace(name.begin(), name.end(), '/', '-');
    path_ = std::filesystem::temp_directory_path() / ("linnet-" + name + ".gguf");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  std::filesystem::path path_;
};

TEST_P(GgufConvertTest, EveryValueComesBack) {
  const Checkpoint in(test::RandomModel(GetParam()));
  ConvertToGguf(in, path_, GgufType::kF32, {});
  const Checkpoint out(path_);
  EXPECT_EQ(out.naming(), TensorNaming::kLlamaCpp);
  EXPECT_EQ(HashOf(out), HashOf(in));
  for (const TensorView& t : in.tensors()) {
    const bool unused = t.name.rfind("blocks.0.att.v", 0) == 0 && t.name.size() == 15;
    const TensorView* got = out.Find(t.name);
    ASSERT_EQ(got == nullptr, unused) << t.name;
    if (got != nullptr) {
      EXPECT_EQ(ReadAll(*got), ReadAll(t)) << t.name;
    }
  }
}

TEST_P(GgufConvertTest, Q8IsWithinHalfAStepOfTheLargestOfABlock) {
  const Checkpoint in(test::RandomModel(GetParam()));
  ConvertToGguf(in, path_, GgufType::kQ8_0, {});
  const Checkpoint out(path_);
  size_t blocks = 0;
  for (const TensorView& t : out.tensors()) {
    if (t.encoding == nullptr) continue;
    EXPECT_STREQ(t.encoding->type_name(), "q8_0");
    const auto got = ReadAll(t), expected = ReadAll(*in.Find(t.name));
    for (size_t i = 0; i < got.size(); i += 32, ++blocks) {
      float most = 0;
      for (size_t k = i; k < i + 32; ++k) most = std::max(most, std::abs(expected[k]));
      // Half a step, and the rounding of the scale to 11 bits.
      const float allowed = most * (0.5f / 127 + 0x1p-11f) + 1e-9f;
      for (size_t k = i; k < i + 32; ++k) {
        ASSERT_LE(std::abs(got[k] - expected[k]), allowed) << t.name;
      }
    }
  }
  EXPECT_GT(blocks, 1000u);
}

// All that a model's file holds is written, or nothing is.
TEST_P(GgufConvertTest, WhatHasNoPlaceInTheFileIsRefused) {
  const test::TemporaryFolder folder;
  const auto more = folder / "more.safetensors";
  const TensorFile model = TensorFile::Open(test::RandomModel(GetParam()));
  for (const char* name : {"blocks.0.att.time_state", "blocks.1.att.key.lora_A", "head.bias"}) {
    std::vector<TensorSpec> specs;
    for (const TensorView& t : model.tensors()) {
      specs.push_back({t.name, SourceType::kF32, t.shape});
    }
    specs.push_back({name, SourceType::kF32, {2, 64, 64}});
    const auto writer = TensorWriter::Create(more, specs);
    for (const TensorView& t : model.tensors()) {
      writer->AppendFloats(SourceType::kF32, linnet::ReadAll(t));
    }
    writer->AppendFloats(SourceType::kF32, std::vector<float>(2 * 64 * 64));
    writer->Finish();
    EXPECT_EQ(test::MessageOf([&] { ConvertToGguf(Checkpoint(more), path_, GgufType::kF32, {}); }),
              more.string() + ": " + name +
                  " is f32[2, 64, 64], which a GGUF file has no place for; write .safetensors or "
                  ".pth");
    EXPECT_FALSE(std::filesystem::exists(path_));
  }
}

INSTANTIATE_TEST_SUITE_P(Files, GgufConvertTest, testing::Values("v6", "v7"),
                         [](const auto& test) { return test.param; });

TEST(GgufConvertRefusalTest, OlderGenerationsHaveNoGguf) {
  const Checkpoint in(test::RandomModel("v5.2"));
  EXPECT_THROW(ConvertToGguf(in, std::filesystem::temp_directory_path() / "linnet-never.gguf",
                             GgufType::kF16, {}),
               Error);
}

}  // namespace
}  // namespace linnet
