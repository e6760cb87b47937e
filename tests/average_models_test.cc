// The mean of models, of which the built-in one is made.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
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

TEST(AverageModels, KeepTheirVocabulary) {
  const ScratchFolder scratch;
  const std::string plain = scratch / "plain.safetensors", a = scratch / "a.safetensors",
                    b = scratch / "b.safetensors", mean = scratch / "mean.safetensors",
                    vocab = scratch / "v.txt", other = scratch / "o.txt";
  std::string text;
  for (int i = 0; i < 256; ++i) text += fmt::format("{} b'\\x{:02x}' 1\n", i + 1, i);
  WriteFile(vocab, text + "257 'the' 3\n");
  WriteFile(other, text + "257 'and' 3\n");
  ASSERT_EQ(RunLinnet(Init(plain, "1", "f32")).exit_code, 0);
  ASSERT_EQ(RunLinnet({"convert", plain, a, "--vocab", vocab}).exit_code, 0);
  ASSERT_EQ(RunLinnet({"convert", plain, b, "--vocab", other}).exit_code, 0);
  const Outcome outcome = RunProgram(kTool, {mean, a, a});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const TensorFile first = TensorFile::Open(a), both = TensorFile::Open(mean);
  const TensorView *before = first.Find("vocabulary"), *after = both.Find("vocabulary");
  ASSERT_NE(after, nullptr);
  ASSERT_EQ(after->shape, before->shape);
  EXPECT_EQ(std::memcmp(after->data, before->data, before->elements()), 0);
  EXPECT_EQ(RunLinnet({"generate", mean, "--prompt", "the", "--max-tokens", "1"}).exit_code, 0);
  for (const std::string& odd : {b, plain}) {
    EXPECT_EQ(RunProgram(kTool, {mean, a, odd}).exit_code, 1) << "another vocabulary, or none";
  }
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
