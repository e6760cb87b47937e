// Packed files: their values, how they run, and what is refused.
#include "models/packed.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "base/scratch_folder.h"
#include "io/ggml_tensor.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/hash.h"
#include "models/model_of.h"
#include "models/network.h"
#include "models/quantize.h"
#include "models/schema.h"
#include "models/test_models.h"
#include "tensor/half.h"

namespace linnet {
namespace {

using goldens::Data;
namespace fs = std::filesystem;

constexpr const char* kVersions[] = {"v4", "v5.0", "v5.1", "v5.2", "v6", "v6moe", "v7", "v7a"};

std::string BytesOf(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path Source(const std::string& version) { return test::RandomModel(version); }

void Quantize(const fs::path& in, const fs::path& out, Packing packing) {
  ThreadPool pool(2);
  QuantizeCheckpoint(Checkpoint(in), out, pool, {.packing = std::move(packing)});
}

// Logits of a few tokens and the state after them.
std::vector<float> Answers(const Model& model, bool exact) {
  std::vector<int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6, 5, 310, 0};
  for (int32_t& id : tokens) id %= static_cast<int32_t>(model.config().vocab);
  Workspace workspace({.threads = 2, .exact = exact});
  State state = model.NewState();
  std::vector<float> out(tokens.size() * model.config().vocab);
  model.Forward({tokens, &state, out}, workspace);
  out.insert(out.end(), state.values().begin(), state.values().end());
  return out;
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

std::string Refusal(const fs::path& path) {
  try {
    Model::Open(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class PackedTest : public testing::TestWithParam<std::tuple<const char*, DType>> {
 protected:
  static std::string version() { return std::get<0>(GetParam()); }
  static DType type() { return std::get<1>(GetParam()); }
  test::TemporaryFolder scratch_;
};

TEST_P(PackedTest, RunsAsItsSourceQuantizedAtLoadDoesBitForBit) {
  const fs::path file = scratch_ / "all.safetensors";
  Quantize(Source(version()), file, {.type = type()});
  const Model packed = Model::Open(file);
  const Model loaded = Model::Open(Source(version()), {.ln_x_eps = {}, .quant = type()});
  for (const bool exact : {true, false}) {
    EXPECT_TRUE(SameBits(Answers(packed, exact), Answers(loaded, exact))) << exact;
  }
  EXPECT_EQ(packed.cost().matrix_bytes, loaded.cost().matrix_bytes);
}

TEST_P(PackedTest, RunsAsItsFirstLayersQuantizedAtLoadDo) {
  const fs::path file = scratch_ / "some.safetensors";
  Quantize(Source(version()), file, {.type = type(), .layers = 1});
  OpenOptions options;
  options.quant = type();
  options.quant_layers = 1;
  const auto packed = Answers(Model::Open(file), true);
  EXPECT_TRUE(SameBits(packed, Answers(Model::Open(Source(version()), options), true)));
  if (version() == "v7" && type() == DType::kBF16) return;  // its own type
  options.quant_layers = SIZE_MAX;
  EXPECT_FALSE(SameBits(packed, Answers(Model::Open(Source(version()), options), true)));
}

TEST_P(PackedTest, EveryMatrixLiesAsTheEquationsTakeIt) {
  const fs::path file = scratch_ / "model.safetensors";
  Quantize(Source(version()), file, {.type = type()});
  Checkpoint checkpoint(file);
  const Config config = ConfigOf(checkpoint);
  ThreadPool pool(1);
  const auto network =
      Network::Bind(std::move(checkpoint), config, pool, {.gradients = true, .packing = {}});
  size_t matrices = 0;
  for (const Parameter& p : network->parameters()) {
    const TensorView& t = *network->checkpoint().Find(p.name);
    EXPECT_EQ(t.shape, p.shape);
    if (p.g.rows == 1 || FindParameter(p.name)->role == ParameterRole::kTable) {
      EXPECT_EQ(PanelsOf(t), nullptr) << p.name;
      continue;
    }
    ++matrices;
    ASSERT_NE(PanelsOf(t), nullptr) << p.name;
    EXPECT_EQ(PanelsOf(t)->transposed(), p.transposed) << p.name;
  }
  EXPECT_GT(matrices, 20u);
}

TEST_P(PackedTest, QuantizedAgainItIsTheSameFile) {
  const fs::path once = scratch_ / "once.safetensors", twice = scratch_ / "twice.safetensors";
  Quantize(Source(version()), once, {.type = type()});
  Quantize(once, twice, {.type = type()});
  EXPECT_TRUE(BytesOf(once) == BytesOf(twice));
  Quantize(once, twice, {});  // each its own type
  EXPECT_TRUE(BytesOf(once) == BytesOf(twice));
}

// Converted, the values are those that the products see; packed from them, it runs alike.
TEST_P(PackedTest, ConvertsToTheValuesItRuns) {
  const fs::path file = scratch_ / "model.safetensors", plain = scratch_ / "plain.pth";
  Quantize(Source(version()), file, {.type = type()});
  ConvertOptions options;
  options.type = SourceType::kF32;
  ConvertCheckpoint(Checkpoint(file), plain, options);
  const Checkpoint source(Source(version())), packed(file), converted(plain);
  ASSERT_EQ(converted.tensors().size(), source.tensors().size());
  for (const TensorView& want : source.tensors()) {
    const TensorView& t = *packed.Find(want.name);
    EXPECT_EQ(t.shape, want.shape) << want.name;
    EXPECT_EQ(converted.Find(want.name)->shape, want.shape) << want.name;
    EXPECT_TRUE(SameBits(ReadAll(t), ReadAll(*converted.Find(want.name)))) << want.name;
    EXPECT_LT(goldens::Error(ReadAll(t), ReadAll(want)), 0.2) << want.name;
  }
  // Summed in f32, formats with the same values give the same sums but for their order.
  EXPECT_LT(goldens::Error(Answers(Model::Open(file), true), Answers(Model::Open(plain), true)),
            1e-4);
}

TEST_P(PackedTest, StatesGoFromItsSourceToIt) {
  const fs::path file = scratch_ / "model.safetensors", saved = scratch_ / "state.st";
  Quantize(Source(version()), file, {.type = type()});
  const Model source = Model::Open(Source(version())), packed = Model::Open(file);
  EXPECT_EQ(source.hash(), packed.hash());
  source.NewState().Save(saved);
  EXPECT_NO_THROW(State::Load(saved, packed.state_shape()));
}

INSTANTIATE_TEST_SUITE_P(All, PackedTest,
                         testing::Combine(testing::ValuesIn(kVersions),
                                          testing::Values(DType::kF16, DType::kBF16, DType::kI8,
                                                          DType::kNF4)),
                         [](const auto& test) {
                           std::string name = std::get<0>(test.param);
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name + "_" + Name(std::get<1>(test.param));
                         });

// Rows, columns, slices and parts of views are those of the dense tensor.
TEST(PackedViews, ReadAsDenseTensorsDo) {
  const test::TemporaryFolder scratch;
  const fs::path file = scratch / "model.safetensors", plain = scratch / "plain.safetensors";
  Quantize(Source("v6"), file, {.type = DType::kBF16});
  ConvertCheckpoint(Checkpoint(Source("v6")), plain, {.type = SourceType::kBF16, .progress = {}});
  const Checkpoint packed(file), dense(plain);
  const auto same = [](const TensorView& a, const TensorView& b) {
    ASSERT_EQ(a.shape, b.shape) << a.name;
    EXPECT_TRUE(SameBits(ReadAll(a), ReadAll(b))) << a.name;
    std::vector<float> x(a.cols()), y(x.size());
    for (size_t row = 0; row < a.rows(); row += 1 + a.rows() / 7) {
      ReadRows(a, row, 1, x.data());
      ReadRows(b, row, 1, y.data());
      EXPECT_TRUE(SameBits(x, y)) << a.name << " " << row;
    }
  };
  for (const char* name : {"head.weight", "blocks.1.att.key.weight", "blocks.0.att.time_maa_w1",
                           "blocks.2.att.time_decay_w2", "emb.weight"}) {
    const TensorView a = *packed.Find(name), b = *dense.Find(name);
    same(a, b);
    same(a.Transposed(), b.Transposed());
    same(a.Slice(3, a.shape[0] - 5), b.Slice(3, b.shape[0] - 5));
    same(a.Slice(1, 20).Transposed(), b.Slice(1, 20).Transposed());
    same(a.Index(7), b.Index(7));
  }
  const TensorView a = *packed.Find("blocks.1.att.time_maa_w2"), b = *dense.Find(a.name);
  same(a, b);
  for (size_t i = 0; i < 5; ++i) {
    same(a.Index(i), b.Index(i));
    same(a.Index(i).Transposed(), b.Index(i).Transposed());
  }
}

TEST(PackedTable, RowsAreWithinHalfAStepOfTheirBlock) {
  for (const size_t cols : {1u, 63u, 64u, 65u, 200u}) {
    for (const float size : {1e-30f, 1e-4f, 1.0f, 1e30f}) {
      std::vector<float> values(cols), got(cols);
      for (size_t i = 0; i < cols; ++i) {
        values[i] = size * std::sin(static_cast<float>(i * i + 1)) * (i < 64 ? 1.0f : 0.01f);
      }
      std::vector<std::byte> row(TableRowBytes(cols));
      EncodeTableRow(values.data(), cols, row.data());
      DecodeTableRow(row.data(), cols, got.data());
      for (size_t i = 0; i < cols; ++i) {
        const float largest = i < 64 ? size : 0.01f * size;
        EXPECT_NEAR(got[i], values[i], 0.51f * largest / 127) << cols << " " << size << " " << i;
      }
    }
  }
  // Nothing finite or not makes rubbish of its neighbours' signs.
  std::vector<float> odd = {0, -0.0f, NAN, 0}, got(4);
  std::vector<std::byte> row(TableRowBytes(4));
  EncodeTableRow(odd.data(), 4, row.data());
  DecodeTableRow(row.data(), 4, got.data());
  EXPECT_EQ(got[0], 0);
  EXPECT_EQ(got[3], 0);
}

// Files that do not say it, as those of earlier versions, run alike and say it when written again.
TEST(PackedFinite, IsSaidOfBf16AndChangesNoBits) {
  const test::TemporaryFolder scratch;
  const fs::path file = scratch / "new.safetensors", old = scratch / "old.safetensors",
                 again = scratch / "again.safetensors";
  for (const std::string version : kVersions) {
    SCOPED_TRACE(version);
    Quantize(Source(version), file, {.type = DType::kBF16, .head = DType::kNF4});
    std::string bytes = BytesOf(file);
    const size_t at = bytes.find("\"finite\":\"bf16\"");
    ASSERT_NE(at, std::string::npos);
    bytes.replace(at + 1, 6, "fitine");
    std::ofstream(old, std::ios::binary) << bytes;
    const Checkpoint a(file), b(old);
    size_t finite = 0;
    for (const TensorView& t : a.tensors()) {
      const PanelEncoding* panels = PanelsOf(t);
      if (panels == nullptr) continue;
      const bool said = panels->dtype() == DType::kBF16;
      finite += said ? 1 : 0;
      EXPECT_EQ(panels->Slice(0).finite, said) << t.name;
      EXPECT_FALSE(PanelsOf(*b.Find(t.name))->Slice(0).finite) << t.name;
    }
    EXPECT_GT(finite, 4u);
    const Model with = Model::Open(file), without = Model::Open(old);
    Workspace workspace({.threads = 2, .exact = false});
    State one = with.NewState(), other = without.NewState();
    std::vector<float> x(with.config().vocab), y(x.size());
    for (const int32_t id : {3, 1, 4, 1, 5, 9, 2, 6}) {
      with.Forward({{&id, 1}, &one, x}, workspace);
      without.Forward({{&id, 1}, &other, y}, workspace);
      ASSERT_TRUE(SameBits(x, y)) << id;
    }
    Quantize(old, again, {});
    EXPECT_TRUE(BytesOf(again) == BytesOf(file));
  }
}

// What is left of a GGUF in its own type is int8: no larger than Q8_0, and hardly another model.
TEST(PackedGguf, KeepsItsSizeAndValues) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const test::TemporaryFolder scratch;
  const fs::path out = scratch / "out.safetensors";
  for (const std::string name : {"v6-Q8_0", "v6-rescale-Q8_0", "v6-Q4_K_S", "v7-Q4_0", "v7-Q6_K"}) {
    SCOPED_TRACE(name);
    const fs::path gguf = Data("gguf/" + name + ".gguf");
    Quantize(gguf, out, {.type = DType::kNF4, .layers = 1});
    const Checkpoint source(gguf), packed(out);
    size_t kept = 0;
    for (const TensorView& t : source.tensors()) {
      if (dynamic_cast<const GgmlMatrix*>(t.encoding) == nullptr) continue;
      const bool inner = t.name.rfind("blocks.0.", 0) != 0 && t.name.rfind("blocks.", 0) == 0;
      const bool table = t.name == "emb.weight";
      const TensorView& there = *packed.Find(t.name);
      EXPECT_EQ(TypeName(there), inner || table ? "int8" : "nf4") << t.name;
      if (!inner) continue;
      ++kept;
      const auto want = ReadAll(t), got = ReadAll(there);
      double error = 0, size = 0;
      for (size_t i = 0; i < want.size(); ++i) {
        error += (double{got[i]} - want[i]) * (double{got[i]} - want[i]);
        size += double{want[i]} * want[i];
      }
      EXPECT_LT(std::sqrt(error / size), 0.008) << t.name;
    }
    EXPECT_GT(kept, 4u);
    const auto all = [](const std::string&) { return true; };
    Quantize(gguf, out, {.type = DType::kNF4, .keep = all});
    if (name.find("Q8_0") != std::string::npos) {
      EXPECT_LT(fs::file_size(out), fs::file_size(gguf) / 10 * 11);
    }
    EXPECT_LT(goldens::Error(Answers(Model::Open(out), true), Answers(Model::Open(gguf), true)),
              0.04);
  }
}

// Pages of these bytes that this process has touched, or nothing if the kernel does not say.
std::optional<size_t> TouchedPages(std::span<const std::byte> bytes) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data());
  const uintptr_t first = (begin + page - 1) / page, last = (begin + bytes.size()) / page;
  std::ifstream map("/proc/self/pagemap", std::ios::binary);
  map.seekg(static_cast<std::streamoff>(first * sizeof(uint64_t)));
  std::vector<uint64_t> entries(last - first);
  map.read(reinterpret_cast<char*>(entries.data()),
           static_cast<std::streamsize>(entries.size() * sizeof(uint64_t)));
  if (!map) return std::nullopt;
  return static_cast<size_t>(
      std::count_if(entries.begin(), entries.end(), [](uint64_t e) { return e >> 63 != 0; }));
}

// A large vocabulary costs only what of it is seen: a few pages around each token's row.
TEST(PackedTable, OnlyRowsOfSeenTokensAreTouched) {
  const test::TemporaryFolder scratch;
  const fs::path file = scratch / "model.safetensors";
  ThreadPool pool(2);
  const Config config = NewConfig(
      {.generation = Generation::k4, .layers = 1, .width = 256, .vocab = size_t{1} << 17});
  const Packing packing{.type = DType::kI8};
  WriteNewPacked(config, Filling::kRandom, 5, file, pool, {.packing = packing});
  std::shared_ptr<const Network> network = Network::Bind(Checkpoint(file), config, pool, {});
  const auto table = network->checkpoint().Find("emb.weight")->encoding->bytes();
  const auto before = TouchedPages(table);
  if (!before) GTEST_SKIP() << "/proc/self/pagemap cannot be read";
  // What the kernel maps with a page that is in its cache: up to a huge one.
  constexpr size_t kAround = 544;
  ASSERT_GT(table.size() / 4096, 15 * kAround);
  EXPECT_LE(*before, kAround);
  const Model model = ModelOf(network);
  Workspace workspace({.threads = 2, .exact = false});
  State state = model.NewState();
  std::vector<float> logits(config.vocab);
  for (const int32_t id : {0, 12345, 12345, 60000}) {
    model.Forward({{&id, 1}, &state, logits}, workspace);
  }
  const auto after = TouchedPages(table);
  EXPECT_GE(*after, 3u);
  EXPECT_LE(*after, *before + 3 * kAround);
}

// A new model is the same whether it is written packed or quantized from a file.
TEST(PackedInit, IsTheQuantizedModel) {
  const test::TemporaryFolder scratch;
  for (const Generation generation :
       {Generation::k4, Generation::k52, Generation::k6, Generation::k7}) {
    const Config config =
        NewConfig({.generation = generation, .layers = 2, .width = 128, .vocab = 300});
    ThreadPool pool(2);
    const Packing packing{.type = DType::kBF16};
    const fs::path direct = scratch / "direct.safetensors", plain = scratch / "plain.safetensors",
                   quantized = scratch / "quantized.safetensors";
    WriteNewPacked(config, Filling::kRandom, 5, direct, pool, {.packing = packing});
    std::vector<TensorSpec> specs;
    for (const ParameterSpec& p : NewParameters(config)) {
      specs.push_back({p.name, SourceType::kF32, p.shape});
    }
    const auto writer = TensorWriter::Create(plain, specs);
    for (const ParameterSpec& p : NewParameters(config)) {
      ForValues(p, Filling::kRandom, 5, pool, [&](std::span<const float> values) {
        writer->AppendFloats(SourceType::kF32, values);
      });
    }
    writer->Finish();
    QuantizeCheckpoint(Checkpoint(plain), quantized, pool, {.packing = packing});
    const TensorFile a = TensorFile::Open(direct), b = TensorFile::Open(quantized);
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (const TensorView& t : a.tensors()) {
      const TensorView& other = *b.Find(t.name);
      ASSERT_EQ(t.shape, other.shape) << t.name;
      EXPECT_EQ(std::memcmp(t.data, other.data, t.elements() * ElementBytes(t.type)), 0) << t.name;
    }
    EXPECT_EQ(Refusal(direct), "");
  }
}

// A file with one tensor "t" of so many bytes, which metadata says to be `note`.
void WriteOne(const fs::path& path, const std::string& note, size_t bytes,
              std::map<std::string, std::string> more = {}) {
  std::map<std::string, std::string> metadata = {
      {"kind", "linnet packed"}, {"version", "1"}, {"packed.t", note}};
  for (const auto& [key, value] : more) metadata[key] = value;
  const auto writer = TensorWriter::Create(path, {{"t", SourceType::kU8, {bytes}}}, metadata);
  writer->Append(std::vector<std::byte>(bytes));
  writer->Finish();
}

// The model at `in` in f32, but for one value.
void Spoil(const fs::path& in, const fs::path& out, const std::string& name, float value) {
  const Checkpoint source(in);
  std::vector<TensorSpec> specs;
  for (const TensorView& t : source.tensors()) {
    specs.push_back({t.name, SourceType::kF32, t.shape});
  }
  const auto writer = TensorWriter::Create(out, specs);
  for (const TensorView& t : source.tensors()) {
    auto values = ReadAll(t);
    if (t.name == name) values[values.size() / 2 + 3] = value;
    writer->AppendFloats(SourceType::kF32, values);
  }
  writer->Finish();
}

std::string QuantizeRefusal(const fs::path& in, const fs::path& out, DType type) {
  try {
    Quantize(in, out, {.type = type});
  } catch (const Error& error) {
    EXPECT_FALSE(fs::exists(out));
    return error.what();
  }
  return "";
}

TEST(PackedRefusals, ValuesThatNoBlockHolds) {
  const test::TemporaryFolder scratch;
  const fs::path bad = scratch / "bad.safetensors", out = scratch / "out.safetensors";
  const float infinity = std::numeric_limits<float>::infinity();
  const auto expect = [](const std::string& message, const std::string& name,
                         const std::string& value) {
    EXPECT_NE(message.find("bad.safetensors: " + name + " holds " + value), std::string::npos)
        << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  };
  const std::pair<float, std::string> values[] = {{1e5f, "100000"},  {-65520.0f, "-65520"},
                                                  {infinity, "inf"}, {-infinity, "-inf"},
                                                  {-NAN, "nan"},     {3.4e38f, "3.4e+38"}};
  for (const std::string name :
       {"head.weight", "blocks.1.ffn.value.weight", "blocks.1.att.time_maa_w2"}) {
    for (const auto& [value, said] : values) {
      Spoil(Source("v6"), bad, name, value);
      for (const DType type : {DType::kI8, DType::kNF4, DType::kF16, DType::kBF16}) {
        SCOPED_TRACE(name + " " + said + " " + Name(type));
        const bool bf16 = type == DType::kBF16 || (type != DType::kF16 && name.back() == '2');
        if (bf16 && std::abs(value) < 1e38f) continue;
        expect(QuantizeRefusal(bad, out, type), name, said);
        try {
          Model::Open(bad, {.ln_x_eps = {}, .quant = type});
          ADD_FAILURE() << "was loaded";
        } catch (const Error& error) {
          expect(error.what(), name, said);
        }
      }
    }
  }
  // What just fits gives finite weights; the embedding's rows have f32 scales.
  for (const auto& [name, value] :
       {std::pair("head.weight", 65519.0f), std::pair("emb.weight", 1e30f)}) {
    Spoil(Source("v6"), bad, name, value);
    for (const DType type : {DType::kI8, DType::kNF4}) {
      Quantize(bad, out, {.type = type});
      for (const float x : ReadAll(*Checkpoint(out).Find(name))) ASSERT_TRUE(std::isfinite(x));
    }
  }
  fs::remove(out);
  Spoil(Source("v6"), bad, "emb.weight", infinity);
  expect(QuantizeRefusal(bad, out, DType::kI8), "emb.weight", "inf");
}

// A file that nothing could run is not made.
TEST(PackedRefusals, ModelsThatNothingRuns) {
  const test::TemporaryFolder scratch;
  const fs::path bad = scratch / "bad.safetensors", out = scratch / "out.safetensors";
  const auto refusal = [&](const std::string& version, const std::string& name, bool transposed) {
    const Checkpoint source(Source(version));
    std::vector<const TensorView*> kept;
    std::vector<TensorSpec> specs;
    for (const TensorView& t : source.tensors()) {
      if (t.name == name && !transposed) continue;
      kept.push_back(&t);
      specs.push_back({t.name, SourceType::kF32, t.shape});
      if (t.name == name) std::reverse(specs.back().shape.begin(), specs.back().shape.end());
    }
    const auto writer = TensorWriter::Create(bad, specs);
    for (const TensorView* t : kept) writer->AppendFloats(SourceType::kF32, ReadAll(*t));
    writer->Finish();
    return QuantizeRefusal(bad, out, DType::kI8);
  };
  for (const std::string version : kVersions) {
    SCOPED_TRACE(version);
    for (const std::string name : {"head.weight", "blocks.1.ffn.value.weight", "ln_out.weight"}) {
      const std::string missing = refusal(version, name, false);
      EXPECT_NE(missing.find(name), std::string::npos) << missing;
      EXPECT_NE(missing.find("missing"), std::string::npos) << missing;
      if (name == "ln_out.weight") continue;
      const std::string turned = refusal(version, name, true);
      EXPECT_NE(turned.find(name + " is f32["), std::string::npos) << turned;
      EXPECT_NE(turned.find("expected ["), std::string::npos) << turned;
    }
  }
}

TEST(PackedRefusals, NameTheTensorInOneLine) {
  const test::TemporaryFolder scratch;
  const fs::path file = scratch / "bad.safetensors";
  const std::string huge = "1099511627775";
  const std::pair<std::string, size_t> bad[] = {
      {"", 64},
      {"bf16", 64},
      {"bf16 panels", 64},
      {"bf16 panels 64", 64},
      {"bf16 panels 64 2 ", 256},
      {"bf16 panels  64 2", 256},
      {"bf16 panels 64 2 2", 256},
      {"bf16 panels 1 1 64 2", 256},
      {"bf16 panels-transposed 1 1 1 1 1", 256},
      {"bf17 panels 64 2", 256},
      {"ggml panels 64 2", 256},
      {"bf16 plain 64 2", 256},
      {"bf16 heaps 64 2", 256},
      {"bf16 panels 0 2", 256},
      {"bf16 panels -1 2", 256},
      {"bf16 panels 64 2x", 256},
      {"bf16 panels 64 0x2", 256},
      {"bf16 panels 64 2", 255},
      {"bf16 panels 64 2", 320},
      {"bf16 panels 65 2", 256},
      {"bf16 panels 64 3", 256},
      {"f32 panels 64 2", 256},
      {"bf16 panels " + huge + " " + huge, 256},
      {"bf16 panels-transposed " + huge + " " + huge + " " + huge, 256},
      {"bf16 panels 1 18446744073709551615", 256},
      {"bf16 panels 99999999999999999999 1", 256},
      {"bf16 rows 2 2", 12},
      {"int8 rows 2 2", 11},
      {"int8 rows 2 2", 13},
      {"int8 rows " + huge + " 1", 13},
  };
  for (const auto& [note, bytes] : bad) {
    WriteOne(file, note, bytes);
    const std::string message = Refusal(file);
    EXPECT_NE(message.find("not a valid packed file: tensor t "), std::string::npos)
        << note << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
  WriteOne(file, "bf16 panels 64 2", 256);
  EXPECT_NE(Refusal(file).find("expected an RWKV model"), std::string::npos) << Refusal(file);
  WriteOne(file, "bf16 panels 64 2", 256, {{"packed.absent", "bf16 panels 64 2"}});
  EXPECT_NE(Refusal(file).find("tensor absent is missing"), std::string::npos) << Refusal(file);
  WriteOne(file, "bf16 panels 64 2", 256, {{"version", "2"}});
  EXPECT_NE(Refusal(file).find("version '2', expected 1"), std::string::npos) << Refusal(file);
}

TEST(PackedRefusals, ShiftedPanelsAndFalseHashes) {
  const test::TemporaryFolder scratch;
  const fs::path good = scratch / "good.safetensors", bad = scratch / "bad.safetensors";
  Quantize(Source("v4"), good, {.type = DType::kBF16});
  std::string bytes = BytesOf(good);
  uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof(header));
  header += 8;
  bytes.insert(8 + header - 8, 8, ' ');
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::ofstream(bad, std::ios::binary) << bytes;
  EXPECT_NE(Refusal(bad).find("64-byte aligned"), std::string::npos) << Refusal(bad);
  bytes = BytesOf(good);
  const size_t at = bytes.find("\"model_hash\":\"") + 14;
  bytes[at] = 'g';
  std::ofstream(bad, std::ios::binary) << bytes;
  EXPECT_NE(Refusal(bad).find("16 hex digits"), std::string::npos) << Refusal(bad);
  // Cut anywhere, it is refused.
  bytes = BytesOf(good);
  for (const size_t length : {bytes.size() - 1, bytes.size() / 2, size_t{100}}) {
    std::ofstream(bad, std::ios::binary) << bytes.substr(0, length);
    EXPECT_NE(Refusal(bad), "");
  }
}

}  // namespace
}  // namespace linnet
