// The mean of models, of which the built-in one is made.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "program.h"

namespace linnet {
namespace {

constexpr const char* kTool = "tools/average-models";

Words Init(const std::string& out, const char* seed, const char* dtype, const char* width = "64") {
  return {"init", "--generation", "7",      "--layers", "1",       "--width", width, "--vocab",
          "300",  "--random",     "--seed", seed,       "--dtype", dtype,     out};
}

TEST(AverageModels, AreTheMeanOfEachValue) {
  const ScratchFolder scratch;
  const std::string a = scratch / "a.safetensors", b = scratch / "b.safetensors",
                    mean = scratch / "mean.safetensors";
  ASSERT_EQ(RunLinnet(Init(a, "1", "f32")).exit_code, 0);
  ASSERT_EQ(RunLinnet(Init(b, "2", "bf16")).exit_code, 0);
  const Outcome outcome = RunProgram(kTool, {mean, a, b});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const TensorFile first = TensorFile::Open(a), second = TensorFile::Open(b),
                   both = TensorFile::Open(mean);
  ASSERT_EQ(both.tensors().size(), first.tensors().size());
  for (size_t i = 0; i < both.tensors().size(); ++i) {
    const TensorView& t = both.tensors()[i];
    ASSERT_EQ(t.name, first.tensors()[i].name);
    ASSERT_EQ(t.shape, first.tensors()[i].shape);
    const auto x = ReadAll(first.tensors()[i]), y = ReadAll(second.tensors()[i]), z = ReadAll(t);
    for (size_t k = 0; k < z.size(); ++k) {
      ASSERT_EQ(z[k], static_cast<float>((double{x[k]} + double{y[k]}) / 2)) << t.name << ' ' << k;
    }
  }
  EXPECT_EQ(RunLinnet({"inspect", mean}).exit_code, 0);
}

TEST(AverageModels, OfOtherShapesOrTypesAreRefused) {
  const ScratchFolder scratch;
  const std::string a = scratch / "a.safetensors", b = scratch / "b.safetensors",
                    mean = scratch / "mean.safetensors";
  ASSERT_EQ(RunLinnet(Init(a, "1", "f32")).exit_code, 0);
  ASSERT_EQ(RunLinnet(Init(b, "1", "f32", "128")).exit_code, 0);
  EXPECT_EQ(RunProgram(kTool, {mean, a, b}).exit_code, 1);
  ASSERT_EQ(RunLinnet(Init(b, "1", "nf4")).exit_code, 0);
  EXPECT_EQ(RunProgram(kTool, {mean, a, b}).exit_code, 1);
  EXPECT_FALSE(std::filesystem::exists(mean));
}

}  // namespace
}  // namespace linnet
