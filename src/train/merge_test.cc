// Merging, the layouts of other tuners, and the one line that each bad adapter gets.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>

#include "linnet/error.h"
#include "linnet/model.h"
#include "models/adapter.h"
#include "models/convert.h"
#include "models/quantize.h"
#include "train/new_adapter.h"
#include "train/test_adapters.h"

namespace linnet {
namespace {

using namespace test_adapters;

std::vector<float> LogitsOf(const fs::path& path, std::vector<AdapterFile> adapters = {},
                            std::optional<DType> quant = std::nullopt) {
  OpenOptions options;
  options.adapters = std::move(adapters);
  options.quant = quant;
  const Model model = Model::Open(path, options);
  std::vector<float> logits(kTokens.size() * model.config().vocab);
  State state = model.NewState();
  Workspace workspace({.threads = 2, .exact = true});
  model.Forward({kTokens, &state, logits}, workspace);
  return logits;
}

class MergeTest : public testing::Test {
 protected:
  fs::path NewAdapter(const fs::path& base, AdapterKind kind, double alpha = 6) {
    ThreadPool pool(2);
    NewAdapterOptions options;
    options.kind = kind;
    options.rank = 4;
    options.alpha = alpha;
    const fs::path path = folder_ / "adapter.safetensors";
    WriteNewAdapter(Checkpoint(base), options, pool, path);
    Stir(path);
    return path;
  }

  fs::path Merge(const fs::path& base, const fs::path& file, std::optional<float> scale = {}) {
    const Checkpoint checkpoint(base);
    const Adapter adapter(file, checkpoint, scale);
    ConvertOptions options;
    options.adapter = &adapter;
    options.type = SourceType::kF32;
    const fs::path out = folder_ / "merged.safetensors";
    ConvertCheckpoint(checkpoint, out, options);
    return out;
  }

  // The adapter's tensors under other names, turned or left out as `edit` says.
  fs::path Edited(const fs::path& path, const std::function<bool(Values&)>& edit,
                  const std::map<std::string, std::string>& metadata = {}) {
    std::vector<Values> all;
    const TensorFile file = TensorFile::Open(path);
    for (const TensorView& t : file.tensors()) {
      Values v{t.name, t.shape, ReadAll(t)};
      if (edit(v)) all.push_back(std::move(v));
    }
    const fs::path out = folder_ / "edited.safetensors";
    WriteValues(out, all, metadata);
    return out;
  }

  std::string ErrorOf(const fs::path& adapter, const fs::path& base,
                      std::optional<float> scale = {}) {
    try {
      const Adapter loaded(adapter, Checkpoint(base), scale);
    } catch (const Error& e) {
      EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
      return e.what();
    }
    return "no error";
  }

  test::TemporaryFolder folder_;
};

TEST_F(MergeTest, GivesTheLogitsOfTheAdapterBesideItsBase) {
  for (const char* generation : {"4", "5.0", "6", "7"}) {
    for (const auto kind : {AdapterKind::kLora, AdapterKind::kPissa, AdapterKind::kDisha}) {
      const fs::path base = Base(generation), adapter = NewAdapter(base, kind);
      const auto applied = LogitsOf(base, {{adapter, {}}}, DType::kF32);
      EXPECT_LT(goldens::Error(LogitsOf(Merge(base, adapter)), applied), 1e-5)
          << generation << " " << Name(kind);
      EXPECT_GT(goldens::Error(LogitsOf(base), applied), 1e-3) << "it does nothing";
    }
  }
}

TEST_F(MergeTest, TakesQuantizedMatricesForTheValuesTheyStandFor) {
  ThreadPool pool(2);
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    const fs::path packed = folder_ / "packed.safetensors";
    QuantizeOptions options;
    options.packing.type = dtype;
    QuantizeCheckpoint(Checkpoint(Base("7")), packed, pool, options);
    // An adapter of the file it was packed from fits the packed one, whose hash is the same.
    const fs::path adapter = NewAdapter(Base("7"), AdapterKind::kLora);
    EXPECT_LT(goldens::Error(LogitsOf(Merge(packed, adapter)), LogitsOf(packed, {{adapter, {}}})),
              1e-5);
  }
}

// An engine that takes a state from a model's file has it there under its file's own names.
TEST_F(MergeTest, ATunedStateBecomesTheModelsOwn) {
  for (const char* generation : {"5.2", "6", "7"}) {
    const fs::path base = Base(generation);
    const fs::path state = test::TunedState(generation);
    const auto applied = LogitsOf(base, {{state, {}}}, DType::kF32);
    EXPECT_GT(goldens::Error(LogitsOf(base), applied), 1e-3) << "it does nothing";
    for (const char* name : {"state.safetensors", "state.pth"}) {
      const fs::path once = folder_ / name;
      fs::rename(Merge(base, state), folder_ / "once.safetensors");
      ConvertCheckpoint(Checkpoint(folder_ / "once.safetensors"), once);
      EXPECT_LT(goldens::Error(LogitsOf(once), applied), 1e-5) << generation;
      // Another state in the place of that one.
      fs::rename(Edited(state,
                        [](Values& v) {
                          for (float& x : v.values) x *= 0.5f;
                          return true;
                        }),
                 folder_ / "half.safetensors");
      const auto halved = LogitsOf(base, {{folder_ / "half.safetensors", {}}}, DType::kF32);
      EXPECT_GT(goldens::Error(halved, applied), 1e-3);
      EXPECT_LT(goldens::Error(LogitsOf(Merge(once, folder_ / "half.safetensors")), halved), 1e-5);
    }
  }
}

TEST_F(MergeTest, ScaleMultipliesWhatTheAdapterDoes) {
  const fs::path base = Base("6"), adapter = NewAdapter(base, AdapterKind::kLora, 2);
  const auto twice = LogitsOf(base, {{adapter, 2.0f}}, DType::kF32);
  EXPECT_LT(goldens::Error(LogitsOf(Merge(base, adapter, 2.0f)), twice), 1e-5);
  const fs::path stronger = NewAdapter(base, AdapterKind::kLora, 4);
  EXPECT_LT(goldens::Error(LogitsOf(base, {{stronger, {}}}, DType::kF32), twice), 1e-6);
}

// RWKV-PEFT's and RWKV-LM-LoRA's files say no alpha; web-rwkv's are turned and named otherwise.
TEST_F(MergeTest, ReadsLoraFilesOfOtherTuners) {
  for (const char* generation : {"4", "7"}) {
    const fs::path base = Base(generation), own = NewAdapter(base, AdapterKind::kLora, 6);
    const auto expected = LogitsOf(base, {{own, {}}});
    const auto bare = Edited(own, [](Values&) { return true; });
    EXPECT_EQ(LogitsOf(base, {{bare, 1.5f}}), expected) << "alpha 6, rank 4";
    EXPECT_NE(ErrorOf(bare, base).find("alpha / 4"), std::string::npos) << ErrorOf(bare, base);
    const auto web = Edited(own, [](Values& v) {
      const bool down = v.name.ends_with("lora_A");
      v.name = v.name.substr(0, v.name.size() - 6) + (down ? "lora.0" : "lora.1");
      if (!down) return true;
      std::vector<float> turned;
      for (size_t i = 0; i < v.shape[1]; ++i) {
        for (size_t j = 0; j < v.shape[0]; ++j) turned.push_back(v.values[j * v.shape[1] + i]);
      }
      v.values = std::move(turned);
      std::swap(v.shape[0], v.shape[1]);
      return true;
    });
    EXPECT_EQ(LogitsOf(base, {{web, 1.5f}}), expected) << "web-rwkv";
  }
}

TEST_F(MergeTest, ReadsPissaFilesWhoseFirstFactorsStandBeside) {
  const fs::path base = Base("7"), own = NewAdapter(base, AdapterKind::kPissa);
  const auto expected = LogitsOf(base, {{own, {}}});
  const auto first = [](const Values& v) { return v.name.find("init_") != std::string::npos; };
  fs::rename(Edited(own, first), folder_ / "init.safetensors");
  const auto bare = Edited(own, [&](Values& v) { return !first(v); });
  EXPECT_NE(ErrorOf(bare, base).find("alpha"), std::string::npos);
  ConvertCheckpoint(Checkpoint(folder_ / "init.safetensors"), folder_ / "init_pissa.pth");
  EXPECT_EQ(LogitsOf(base, {{bare, {}}}), expected);
}

// The formulas of RWKV-PEFT, written out.
TEST_F(MergeTest, BoneAndDoraAreTheirFormulas) {
  const fs::path base = Base("6"), path = folder_ / "a.safetensors";
  const std::string stem = "blocks.1.att.key.";
  const Checkpoint checkpoint(base);
  const auto W = ReadAll(*checkpoint.Find(stem + "weight"));
  constexpr size_t n = 128, r = 4;
  const auto noise = [](size_t count, float size) {
    std::vector<float> values(count);
    for (size_t i = 0; i < count; ++i) values[i] = size * std::sin(static_cast<float>(7 * i + 1));
    return values;
  };
  const auto expect = [&](const std::vector<double>& whole, const char* what,
                          std::optional<float> scale) {
    const std::vector<float> expected(whole.begin(), whole.end());
    const auto merged = TensorFile::Open(Merge(base, path, scale));
    EXPECT_LT(goldens::Error(ReadAll(*merged.Find(stem + "weight")), expected), 1e-6) << what;
    const auto replaced = folder_ / "whole.safetensors";
    WriteValues(replaced, {{stem + "weight", {n, n}, expected}});
    EXPECT_LT(goldens::Error(LogitsOf(base, {{path, scale}}), LogitsOf(base, {{replaced, {}}})),
              1e-5)
        << what;
  };
  const auto G = noise(n / r * r * r, 0.05f);
  WriteValues(path, {{stem + "bone", {n / r, r, r}, G}});
  std::vector<double> bone(W.begin(), W.end());
  for (size_t o = 0; o < n; ++o) {
    for (size_t i = 0; i < n; ++i) {
      const float* block = G.data() + i / r * r * r;
      bone[o * n + i] += block[o % r * r + i % r];
      for (size_t k = 0; k < r; ++k) {
        bone[o * n + i] += double{W[o * n + i / r * r + k]} * block[k * r + i % r];
      }
    }
  }
  expect(bone, "bone", std::nullopt);

  const auto A = noise(r * n, 0.1f), B = noise(n * r, 0.2f), M = noise(n, 3.0f);
  WriteValues(
      path,
      {{stem + "lora_A", {r, n}, A}, {stem + "lora_B", {n, r}, B}, {stem + "lora_M", {1, n}, M}});
  std::vector<double> dora(W.begin(), W.end());
  for (size_t i = 0; i < n; ++i) {
    double length = 0;
    for (size_t o = 0; o < n; ++o) {
      for (size_t j = 0; j < r; ++j) dora[o * n + i] += 0.5 * B[o * r + j] * A[j * n + i];
      length += dora[o * n + i] * dora[o * n + i];
    }
    for (size_t o = 0; o < n; ++o) dora[o * n + i] *= M[i] / (std::sqrt(length) + 1e-6);
  }
  expect(dora, "dora", 0.5f);
}

TEST_F(MergeTest, BadAdaptersGetOneLineThatSaysWhy) {
  const fs::path base = Base("7"), own = NewAdapter(base, AdapterKind::kLora);
  const std::string stem = "blocks.0.att.key.";
  const auto error = [&](std::vector<Values> tensors,
                         const std::map<std::string, std::string>& metadata = {}) {
    const fs::path path = folder_ / "bad.safetensors";
    WriteValues(path, tensors, metadata);
    return ErrorOf(path, base, 1.0f);
  };
  const auto zeros = [](std::string name, std::vector<size_t> shape) {
    size_t count = 1;
    for (const size_t d : shape) count *= d;
    return Values{std::move(name), std::move(shape), std::vector<float>(count)};
  };
  const auto says = [](const std::string& text, const char* what) {
    EXPECT_NE(text.find(what), std::string::npos) << text << "\nexpected: " << what;
  };
  says(ErrorOf(own, Base("6")), "another model");
  says(error({zeros(stem + "lora_A", {4, 128})}), "blocks.0.att.key.lora_B is missing");
  says(error({zeros(stem + "lora_B", {128, 4})}), "blocks.0.att.key.lora_A is missing");
  says(error({zeros(stem + "lora_A", {4, 64}), zeros(stem + "lora_B", {128, 4})}),
       "expected [4, 128]");
  says(error({zeros(stem + "lora_A", {4, 128}), zeros(stem + "lora_B", {128, 5})}),
       "expected [128, 4]");
  says(error({zeros(stem + "lora_A", {200, 128}), zeros(stem + "lora_B", {128, 200})}),
       "expected a rank of 1 to 128");
  says(error({zeros("blocks.9.att.key.lora_A", {4, 128})}), "which is missing");
  says(error({zeros("blocks.0.ln1.lora_A", {4, 128})}), "cannot have an adapter");
  says(error({zeros("emb.lora_A", {4, 128})}), "cannot have an adapter");
  says(error({zeros("blocks.0.ln1.weight", {64})}), "expected [128]");
  says(error({zeros("blocks.0.ln9.weight", {128})}), "another model's");
  says(error({zeros(stem + "disha", {4, 64})}), "expected [rank, 128]");
  says(error({zeros(stem + "bone", {3, 4, 4})}), "divides 128");
  says(error({zeros(stem + "disha", {4, 128}), zeros(stem + "lora_A", {4, 128})}), "two kinds");
  says(error({zeros(stem + "disha", {4, 128}), zeros(stem + "lora_B", {4, 128})}), "both");
  says(error({zeros("blocks.0.att.time_state", {2, 64, 64})}),
       "blocks.1.att.time_state is missing");
  says(error({}), "holds no tensor");
  says(error({zeros(stem + "lora_A", {4, 128}), zeros(stem + "lora_B", {128, 4})},
             {{"alpha", "much"}}),
       "metadata alpha is 'much'");
}

}  // namespace
}  // namespace linnet
