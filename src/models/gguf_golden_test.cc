// llama.cpp's and rwkv.cpp's files against what the reference gives on their dequantized values.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "linnet/model.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/packed.h"

namespace linnet {
namespace {

using goldens::Data;

struct Case {
  const char* file;
  const char* golden;
};

std::ostream& operator<<(std::ostream& os, const Case& c) { return os << c.file; }

class GgufGoldenTest : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  }
  std::string file() const { return Data(std::string("gguf/") + GetParam().file); }
};

TEST_P(GgufGoldenTest, LogitsAndStatesAreTheReferences) {
  const auto golden =
      TensorFile::Open(Data(fmt::format("gguf/{}.golden.safetensors", GetParam().golden)));
  const Model model = Model::Open(file());
  const auto tokens = goldens::Ids(golden, "tokens");
  const auto expected = ReadAll(*golden.Find("logits"));
  for (const bool exact : {true, false}) {
    Workspace workspace({.threads = 2, .exact = exact});
    State state = model.NewState();
    std::vector<float> logits(tokens.size() * model.config().vocab);
    model.Forward({tokens, &state, logits}, workspace);
    EXPECT_LE(goldens::Error(logits, expected), 2e-4);
    const auto list = state.ToReference();
    ASSERT_FALSE(list.empty());
    for (size_t i = 0; i < list.size(); ++i) {
      const TensorView* t = golden.Find(fmt::format("state.{:03}", i));
      ASSERT_NE(t, nullptr) << i;
      EXPECT_EQ(t->shape, list[i].shape) << i;
      EXPECT_LE(goldens::Error(list[i].values, ReadAll(*t)), 1e-3) << i;
    }
  }
}

TEST_P(GgufGoldenTest, OneTokenIsTheBitsOfMany) {
  const Model model = Model::Open(file());
  Workspace workspace({.threads = 2});
  const std::vector<int32_t> tokens = {1, 50, 255, 3, 3, 90, 17};
  const size_t vocab = model.config().vocab;
  State whole = model.NewState(), steps = model.NewState();
  std::vector<float> a(tokens.size() * vocab), b(a.size());
  model.Forward({tokens, &whole, a}, workspace);
  for (size_t i = 0; i < tokens.size(); ++i) {
    model.Forward({std::span(tokens).subspan(i, 1), &steps, std::span(b).subspan(i * vocab, vocab)},
                  workspace);
  }
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Files, GgufGoldenTest,
    testing::Values(Case{"v6-F16.gguf", "v6-F16"}, Case{"v6-Q8_0.gguf", "v6-Q8_0"},
                    Case{"v6-Q4_K_S.gguf", "v6-Q4_K_S"},
                    Case{"v6-rescale-Q8_0.gguf", "v6-rescale-Q8_0"}, Case{"v7-F16.gguf", "v7-F16"},
                    Case{"v7-Q4_0.gguf", "v7-Q4_0"}, Case{"v7-Q6_K.gguf", "v7-Q6_K"},
                    Case{"tiny-v4-Q5_0.ggmf.bin", "tiny-v4-Q5_0"},
                    Case{"tiny-v5.2-FP16.ggmf.bin", "tiny-v5.2-FP16"},
                    Case{"tiny-v7-Q5_1.ggmf.bin", "tiny-v7-Q5_1"}),
    [](const auto& test) {
      std::string name = test.param.file;
      for (char& ch : name) {
        if (!std::isalnum(static_cast<unsigned char>(ch))) ch = '_';
      }
      return name;
    });

}  // namespace
}  // namespace linnet
