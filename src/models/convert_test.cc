// A file of any tensor naming reads as the BlinkDL file it was made from, and converts back to it.
#include "models/convert.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>

#include "base/scratch_folder.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/hash.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
namespace fs = std::filesystem;

bool Ends(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void Replace(std::string& text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  if (at != std::string::npos) text.replace(at, from.size(), to);
}

// transformers' convert_rwkv_checkpoint_to_hf, and BBuf's for RWKV-5 and 6.
std::string ToHuggingFace(std::string name, bool* /*transpose*/) {
  if (name == "head.weight") return name;
  Replace(name, "emb.", "embeddings.");
  Replace(name, ".ln0.", ".pre_ln.");
  Replace(name, ".att.", ".attention.");
  Replace(name, ".ffn.", ".feed_forward.");
  for (const auto& [from, to] : {std::pair{"_k", "_key"}, std::pair{"_v", "_value"},
                                 std::pair{"_r", "_receptance"}, std::pair{"_g", "_gate"}}) {
    if (Ends(name, std::string(".time_mix") + from)) Replace(name, from, to);
  }
  return "rwkv." + name;
}

// web-rwkv's converter: renames first, then transposes the last two dimensions of these.
std::string ToWebRwkv(std::string name, bool* transpose) {
  Replace(name, "time_faaaa", "time_first");
  Replace(name, "time_maa", "time_mix");
  for (const char* part : {"time_mix_w1", "time_mix_w2", "time_decay_w1", "time_decay_w2", ".w1",
                           ".w2", ".a1", ".a2", ".g1", ".g2", ".v1", ".v2"}) {
    if (name.find(part) != std::string::npos) *transpose = true;
  }
  return name;
}

using Renaming = std::function<std::string(std::string, bool*)>;

struct Fixture {
  std::string version;
  const char* naming;
  Renaming rename;
};

void PrintTo(const Fixture& f, std::ostream* os) { *os << f.version << " as " << f.naming; }

void WriteAs(const Checkpoint& source, const Renaming& rename, const fs::path& path) {
  std::vector<TensorSpec> specs;
  std::vector<TensorView> views;
  for (const TensorView& t : source.tensors()) {
    bool transpose = false;
    const std::string name = rename(t.name, &transpose);
    views.push_back(transpose ? t.Transposed() : t);
    specs.push_back({name, t.type, views.back().shape});
  }
  const auto writer = TensorWriter::Create(path, specs);
  for (const TensorView& t : views) {
    std::vector<std::byte> bytes(t.elements() * ElementBytes(t.type));
    CopyRows(t, 0, t.rows(), bytes.data());
    writer->Append(bytes);
  }
  writer->Finish();
}

void ExpectSame(const Checkpoint& got, const Checkpoint& expected) {
  EXPECT_EQ(got.tensors().size(), expected.tensors().size());
  for (const TensorView& want : expected.tensors()) {
    const TensorView* t = got.Find(want.name);
    ASSERT_NE(t, nullptr) << want.name;
    EXPECT_EQ(t->shape, want.shape) << want.name;
    EXPECT_EQ(ReadAll(*t), ReadAll(want)) << want.name;
  }
  EXPECT_EQ(HashOf(got), HashOf(expected));
}

class NamingTest : public testing::TestWithParam<Fixture> {};

TEST_P(NamingTest, ReadsAsItsSourceAndConvertsBackToIt) {
  const Fixture& f = GetParam();
  const Checkpoint source(test::RandomModel(f.version));
  const test::TemporaryFile renamed(".safetensors"), back(".pth");
  WriteAs(source, f.rename, renamed.path());
  const Checkpoint other(renamed.path());
  EXPECT_STREQ(Name(other.naming()), f.naming);
  ExpectSame(other, source);
  EXPECT_EQ(ConfigOf(other).generation, ConfigOf(source).generation);
  ConvertCheckpoint(other, back.path());
  const Checkpoint converted(back.path());
  EXPECT_EQ(converted.naming(), TensorNaming::kBlinkDL);
  ExpectSame(converted, source);
}

std::vector<Fixture> Fixtures() {
  std::vector<Fixture> all;
  for (const char* v : {"4", "5.0", "5.1", "5.2", "6"}) {
    all.push_back({v, "Hugging Face", ToHuggingFace});
  }
  for (const char* v : {"5.2", "6", "7"}) {
    all.push_back({v, "web-rwkv", ToWebRwkv});
  }
  return all;
}

INSTANTIATE_TEST_SUITE_P(Namings, NamingTest, testing::ValuesIn(Fixtures()));

TEST(ConvertTest, FlaIsTheSameModelAsItsSource) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const Checkpoint source(Data("golden/random-v7.pth"));
  const Checkpoint fla(Data("golden/random-v7.fla.safetensors"));
  ExpectSame(fla, source);
  const test::TemporaryFile out(".safetensors");
  const Converted done = ConvertCheckpoint(fla, out.path(), {.type = SourceType::kBF16});
  EXPECT_EQ(done.tensors, source.tensors().size());
  const Checkpoint converted(out.path());
  ExpectSame(converted, source);
  for (const TensorView& t : converted.tensors()) EXPECT_EQ(t.type, SourceType::kBF16) << t.name;
}

// Exports before 2025 hold all six mixes of a layer in one tensor.
TEST(ConvertTest, StackedMixesOfOlderFlaFilesAreTakenApart) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const Checkpoint source(Data("golden/random-v7.pth"));
  const TensorFile fla = TensorFile::Open(Data("golden/random-v7.fla.safetensors"));
  const test::TemporaryFile old(".safetensors");
  for (const bool ones : {false, true}) {
    std::vector<TensorSpec> specs;
    std::vector<std::vector<float>> values;
    for (const TensorView& t : fla.tensors()) {
      const size_t mix = t.name.find(".attn.x_");
      if (mix == std::string::npos) {
        specs.push_back({t.name, SourceType::kF32, t.shape});
        values.push_back(ReadAll(t));
      } else if (t.name.back() == 'r') {
        const std::string stem = t.name.substr(0, t.name.size() - 1);
        const size_t width = t.elements();
        specs.push_back({stem + "x", SourceType::kF32, {6, width}});
        if (ones) specs.back().shape = {6, 1, 1, width};
        values.emplace_back();
        for (const char letter : {'r', 'w', 'k', 'v', 'a', 'g'}) {
          const auto part = ReadAll(*fla.Find(stem + letter));
          values.back().insert(values.back().end(), part.begin(), part.end());
        }
      }
    }
    const auto writer = TensorWriter::Create(old.path(), specs);
    for (const auto& v : values) writer->AppendFloats(SourceType::kF32, v);
    writer->Finish();
    ExpectSame(Checkpoint(old.path()), source);
  }
}

TEST(ConvertTest, HalvesOfWebRwkvGetTheReleasedShapesAndOrder) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const Checkpoint source(Data("golden/random-v6.pth"));
  const Checkpoint web(Data("golden/random-v6.webrwkv.st"));
  const test::TemporaryFile out(".pth");
  ConvertCheckpoint(web, out.path(), {.type = SourceType::kF32});
  const Checkpoint converted(out.path());
  ASSERT_EQ(converted.tensors().size(), source.tensors().size());
  EXPECT_EQ(converted.tensors().front().name, "emb.weight");
  EXPECT_EQ(converted.tensors().back().name, "head.weight");
  for (const TensorView& t : converted.tensors()) {
    const TensorView* want = source.Find(t.name);
    ASSERT_NE(want, nullptr) << t.name;
    EXPECT_EQ(t.shape, want->shape) << t.name;
    EXPECT_LT(goldens::Error(ReadAll(t), ReadAll(*want)), 1e-3) << t.name;
  }
}

TEST(ConvertTest, TypesRoundEachValueOnce) {
  const Checkpoint source(test::RandomModel("v4"));
  for (const SourceType type : {SourceType::kF16, SourceType::kBF16, SourceType::kF32}) {
    const test::TemporaryFile out(".safetensors");
    ConvertCheckpoint(source, out.path(), {.type = type});
    const double step = type == SourceType::kBF16 ? 0x1p-8 : type == SourceType::kF16 ? 0x1p-11 : 0;
    const Checkpoint converted(out.path());
    for (const TensorView& t : converted.tensors()) {
      EXPECT_EQ(t.type, type) << t.name;
      const auto got = ReadAll(t), want = ReadAll(*source.Find(t.name));
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_LE(std::abs(got[i] - want[i]), std::abs(want[i]) * step + 0x1p-25) << t.name;
      }
    }
  }
}

TEST(ConvertTest, RefusesValuesBeyondHalvesAndLeavesNothing) {
  const test::TemporaryFile in(".safetensors"), out(".safetensors");
  const Checkpoint source(test::RandomModel("v4"));
  std::vector<TensorSpec> specs;
  for (const TensorView& t : source.tensors()) specs.push_back({t.name, t.type, t.shape});
  const auto writer = TensorWriter::Create(in.path(), specs);
  for (const TensorView& t : source.tensors()) {
    auto values = ReadAll(t);
    if (t.name == "blocks.1.ffn.key.weight") values[77] = -1e5f;
    writer->AppendFloats(t.type, values);
  }
  writer->Finish();
  const Checkpoint broken(in.path());
  try {
    ConvertCheckpoint(broken, out.path(), {.type = SourceType::kF16});
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("blocks.1.ffn.key.weight"), std::string::npos);
  }
  EXPECT_FALSE(fs::exists(out.path()));
  ConvertCheckpoint(broken, out.path(), {.type = SourceType::kBF16});
}

TEST(ConvertTest, TunedStatesConvertAndSavedOnesAreRefused) {
  const test::TemporaryFile out(".safetensors"), saved(".safetensors");
  const Checkpoint tuned(test::TunedState("v7"));
  ConvertCheckpoint(tuned, out.path());
  ExpectSame(Checkpoint(out.path()), tuned);
  Model::Open(test::RandomModel("v7")).NewState().Save(saved.path());
  EXPECT_THROW(ConvertCheckpoint(Checkpoint(saved.path()), out.path()), Error);
}

}  // namespace
}  // namespace linnet
