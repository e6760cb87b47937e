// Files of adapters and states whose names begin with `model.`, as RWKV-PEFT writes some of them.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "base/thread_pool.h"
#include "io/tensor_writer.h"
#include "linnet/model.h"
#include "models/goldens.h"
#include "models/init.h"

namespace linnet {
namespace {

using goldens::Data;
using std::filesystem::path;

std::vector<float> LogitsOf(const path& model, const std::vector<AdapterFile>& adapters = {},
                            const path& start = {}) {
  OpenOptions options;
  options.adapters = adapters;
  const Model opened = Model::Open(model, options);
  const std::vector<int32_t> tokens = {1, 2, 3, 9, 5, 0, 11, 7, 4, 4};
  Workspace workspace({.threads = 1, .exact = true});
  State state = start.empty() ? opened.NewState() : State::Load(start, opened.state_shape());
  std::vector<float> logits(tokens.size() * opened.config().vocab);
  opened.Forward({tokens, &state, logits}, workspace);
  return logits;
}

void WriteAs(const path& file, const std::vector<TensorSpec>& specs, uint32_t seed) {
  const auto writer = TensorWriter::Create(file, specs);
  for (const TensorSpec& spec : specs) {
    std::vector<float> values(spec.shape.size() == 3 ? 64 * 64 : 2 * 64);
    for (float& x : values) {
      seed = seed * 1664525 + 1013904223;
      x = static_cast<float>(seed >> 8) * 0x1p-23f - 1;
    }
    writer->AppendFloats(SourceType::kF32, values);
  }
  writer->Finish();
}

class PrefixTest : public testing::Test {
 protected:
  void SetUp() override {
    InitSizes sizes;
    sizes.layers = 1;
    sizes.width = 64;
    sizes.vocab = 40;
    ThreadPool pool(1);
    std::vector<TensorSpec> specs;
    const auto parameters = NewParameters(NewConfig(sizes));
    for (const ParameterSpec& p : parameters) specs.push_back({p.name, SourceType::kF32, p.shape});
    const auto writer = TensorWriter::Create(base_, specs);
    for (const ParameterSpec& p : parameters) {
      ForValues(p, Filling::kRandom, 5, pool, [&](std::span<const float> values) {
        writer->AppendFloats(SourceType::kF32, values);
      });
    }
    writer->Finish();
  }

  test::TemporaryFolder folder_;
  path base_ = folder_ / "base.pth";
};

TEST_F(PrefixTest, AdaptersAndTheirFirstFactorsAreFoundUnderIt) {
  const std::string key = "blocks.0.att.key.";
  std::vector<std::vector<float>> logits;
  for (const std::string first : {"", "model."}) {
    for (const std::string learnt : {"", "model."}) {
      WriteAs(folder_ / "init_pissa.pth",
              {{first + key + "init_lora_A", SourceType::kF32, {2, 64}},
               {first + key + "init_lora_B", SourceType::kF32, {64, 2}}},
              1);
      WriteAs(folder_ / "rwkv-1.pth",
              {{learnt + key + "lora_A", SourceType::kF32, {2, 64}},
               {learnt + key + "lora_B", SourceType::kF32, {64, 2}}},
              2);
      logits.push_back(LogitsOf(base_, {{folder_ / "rwkv-1.pth"}}));
      EXPECT_EQ(logits.back(), logits.front()) << first << " and " << learnt;
    }
  }
  EXPECT_NE(logits.front(), LogitsOf(base_));
}

TEST_F(PrefixTest, TunedStatesAreFoundUnderIt) {
  std::vector<std::vector<float>> logits;
  for (const std::string prefix : {"", "model."}) {
    const path file = folder_ / "state.pth";
    WriteAs(file, {{prefix + "blocks.0.att.time_state", SourceType::kF32, {1, 64, 64}}}, 3);
    logits.push_back(LogitsOf(base_, {}, file));
    EXPECT_EQ(LogitsOf(base_, {{file}}), logits.back());
  }
  EXPECT_EQ(logits[0], logits[1]);
  EXPECT_NE(logits[0], LogitsOf(base_));
}

TEST_F(PrefixTest, PissaAsRwkvPeftWritesIt) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const path folder = Data("cases/pissa-rwkvpeft");
  const auto golden = TensorFile::Open(folder / "expected.safetensors");
  EXPECT_LE(goldens::Error(LogitsOf(folder / "base.pth", {{folder / "rwkv-5.pth"}}),
                           ReadAll(*golden.Find("logits"))),
            1e-5);
}

}  // namespace
}  // namespace linnet
