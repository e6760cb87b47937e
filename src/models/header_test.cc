// What a header says is obeyed or refused, and what is written keeps it.
#include "models/header.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "base/thread_pool.h"
#include "io/gguf_writer.h"
#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/model.h"
#include "models/convert.h"
#include "models/detect.h"
#include "models/gguf_convert.h"
#include "models/goldens.h"
#include "models/init.h"
#include "models/quantize.h"

namespace linnet {
namespace {

using goldens::Data;
using test::MessageOf;

struct Tensor {
  std::vector<size_t> shape;
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;
using Metadata = std::map<std::string, std::string>;

Tensors NewModel(Generation generation, size_t head_size) {
  InitSizes sizes;
  sizes.generation = generation;
  sizes.layers = 2;
  sizes.width = 64;
  sizes.head_size = head_size;
  sizes.vocab = 40;
  ThreadPool pool(1);
  Tensors model;
  for (const ParameterSpec& p : NewParameters(NewConfig(sizes))) {
    Tensor& t = model[p.name] = {p.shape, std::vector<float>(p.elements())};
    FillParameter(p, Filling::kRandom, 7, pool, t.values.data());
  }
  return model;
}

void Write(const Tensors& tensors, const std::filesystem::path& path,
           const Metadata& metadata = {}) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, t] : tensors) specs.push_back({name, SourceType::kF32, t.shape});
  const auto writer = TensorWriter::Create(path, specs, metadata);
  for (const auto& [name, t] : tensors) writer->AppendFloats(SourceType::kF32, t.values);
  writer->Finish();
}

Tensor Transposed(const Tensor& t) {
  const size_t rows = t.shape[0], cols = t.shape[1];
  Tensor out{{cols, rows}, std::vector<float>(t.values.size())};
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < cols; ++j) out.values[j * rows + i] = t.values[i * cols + j];
  }
  return out;
}

// A model of RWKV-7 as flash-linear-attention saves it; `model` is "model." or "".
Tensors InFlaNames(const Tensors& blinkdl, const std::string& model) {
  const std::map<std::string, std::string> outer = {{"emb.weight", model + "embeddings.weight"},
                                                    {"head.weight", "lm_head.weight"},
                                                    {"ln_out.weight", model + "norm.weight"},
                                                    {"ln_out.bias", model + "norm.bias"}};
  const std::pair<std::string, std::string> parts[] = {
      {"ln0.", "pre_norm."},          {"ln1.", "attn_norm."},
      {"ln2.", "ffn_norm."},          {"att.ln_x.", "attn.g_norm."},
      {"att.key.", "attn.k_proj."},   {"att.receptance.", "attn.r_proj."},
      {"att.value.", "attn.v_proj."}, {"att.output.", "attn.o_proj."}};
  Tensors out;
  for (const auto& [name, t] : blinkdl) {
    if (outer.contains(name)) {
      out[outer.at(name)] = t;
      continue;
    }
    std::string layer = model + "layers." + name.substr(7, 2), rest = name.substr(9);
    bool renamed = false;
    for (const auto& [from, to] : parts) {
      if (renamed || !rest.starts_with(from)) continue;
      rest = to + rest.substr(from.size());
      renamed = true;
    }
    const bool factor = rest.size() == 6 && rest.starts_with("att.") &&
                        std::string_view("wavg").find(rest[4]) != std::string_view::npos;
    if (factor && rest[5] <= '2') {
      const char* endings[] = {"2.bias", "0.weight", "2.weight"};
      const std::string fla = fmt::format("attn.{}_lora.lora.{}", rest[4], endings[rest[5] - '0']);
      out[layer + fla] = rest[5] == '0' ? t : Transposed(t);
      continue;
    }
    if (!renamed && rest.starts_with("att.")) rest.replace(0, 4, "attn.");
    out[layer + rest] = t;
  }
  return out;
}

std::vector<float> LogitsOf(const std::filesystem::path& path, const OpenOptions& options = {}) {
  const Model model = Model::Open(path, options);
  const std::vector<int32_t> tokens = {1, 2, 3, 9, 5, 0, 11, 7, 4, 4};
  Workspace workspace({.threads = 1, .exact = true});
  State state = model.NewState();
  std::vector<float> logits(tokens.size() * model.config().vocab);
  model.Forward({tokens, &state, logits}, workspace);
  return logits;
}

std::string RefusalOf(const std::filesystem::path& path) {
  return MessageOf([&] { ConfigOf(Checkpoint(path)); });
}

bool Holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

class HeaderTest : public testing::Test {
 protected:
  void WriteConfig(const std::string& json) { std::ofstream(folder_ / "config.json") << json; }
  test::TemporaryFolder folder_;
};

TEST_F(HeaderTest, UnderFlasNamesTheGroupNormsEpsilonFollowsTheHeadSize) {
  const auto blinkdl = folder_ / "blinkdl.safetensors", fla = folder_ / "fla.safetensors";
  for (const size_t head_size : {32, 64}) {
    const Tensors model = NewModel(Generation::k7, head_size);
    Write(model, blinkdl);
    for (const char* prefix : {"model.", ""}) {
      Write(InFlaNames(model, prefix), fla);
      std::filesystem::remove(folder_ / "config.json");
      const float eps = static_cast<float>(1e-5 * static_cast<double>(head_size));
      const auto expected = LogitsOf(blinkdl, {.ln_x_eps = eps});
      EXPECT_EQ(LogitsOf(fla), expected) << prefix << head_size;
      EXPECT_EQ(LogitsOf(blinkdl) == expected, head_size == 64);
      WriteConfig(R"({"norm_eps": 0.001, "num_heads": null})");
      const Config config = ConfigOf(Checkpoint(fla));
      EXPECT_FLOAT_EQ(config.norm_eps, 1e-3f);
      EXPECT_FLOAT_EQ(config.ln_x_eps, 1e-3f * static_cast<float>(head_size));
      EXPECT_NE(LogitsOf(fla), expected);
    }
  }
}

TEST_F(HeaderTest, FilesThatAreWrittenKeepTheEpsilonsOrAreRefused) {
  const auto fla = folder_ / "fla.safetensors";
  Write(InFlaNames(NewModel(Generation::k7, 32), "model."), fla);
  WriteConfig(R"({"norm_eps": 0.0002})");
  const auto expected = LogitsOf(fla);
  const test::TemporaryFolder other;  // without a config.json
  const auto plain = other / "plain.safetensors", packed = other / "packed.safetensors";
  ConvertCheckpoint(Checkpoint(fla), plain);
  EXPECT_EQ(LogitsOf(plain), expected);
  ThreadPool pool(1);
  QuantizeCheckpoint(Checkpoint(plain), packed, pool, {});
  EXPECT_EQ(LogitsOf(packed), expected);
  for (const auto& from : {fla, plain, packed}) {
    const std::string message =
        MessageOf([&] { ConvertCheckpoint(Checkpoint(from), other / "model.pth"); });
    EXPECT_TRUE(Holds(message, from.string() + ": its norms have epsilons of 0.0002 and 0.0064"))
        << message;
    EXPECT_FALSE(std::filesystem::exists(other / "model.pth"));
    const std::string gguf = MessageOf(
        [&] { ConvertToGguf(Checkpoint(from), other / "model.gguf", GgufType::kF32, {}); });
    EXPECT_TRUE(Holds(gguf, "model.gguf has no place to say so")) << gguf;
    EXPECT_FALSE(std::filesystem::exists(other / "model.gguf"));
  }
}

TEST_F(HeaderTest, ATiedEmbeddingIsTheHead) {
  Tensors model = NewModel(Generation::k7, 64);
  const auto fla = folder_ / "fla.safetensors", blinkdl = folder_ / "blinkdl.safetensors";
  Tensors own = model;
  own["head.weight"] = own["emb.weight"];
  Write(own, blinkdl);
  const auto expected = LogitsOf(blinkdl);
  Tensors named = InFlaNames(model, "model.");
  WriteConfig(R"({"tie_word_embeddings": true})");
  Write(named, fla);
  EXPECT_EQ(LogitsOf(fla), expected) << "transformers takes the embedding, whatever lm_head is";
  named.erase("lm_head.weight");
  Write(named, fla);
  EXPECT_EQ(LogitsOf(fla), expected);
  const test::TemporaryFolder other;
  ConvertCheckpoint(Checkpoint(fla), other / "model.pth");
  EXPECT_EQ(LogitsOf(other / "model.pth"), expected);
  WriteConfig(R"({"tie_word_embeddings": false})");
  EXPECT_TRUE(Holds(RefusalOf(fla), "head.weight is missing")) << RefusalOf(fla);
}

TEST_F(HeaderTest, SizesInConfigJsonAreComparedWithTheTensors) {
  const auto fla = folder_ / "fla.safetensors";
  Write(InFlaNames(NewModel(Generation::k7, 32), "model."), fla);
  WriteConfig(
      R"({"num_hidden_layers": 2, "hidden_size": 64, "head_dim": 32, "num_heads": 99,
          "vocab_size": 40, "intermediate_size": 256, "hidden_act": "sqrelu", "attn": null,
          "norm_first": true, "norm_eps": 1e-05, "v_low_rank_dim": null})");
  EXPECT_EQ(RefusalOf(fla), "");
  const std::pair<const char*, const char*> wrong[] = {
      {R"({"num_hidden_layers": 3})", "num_hidden_layers is 3, but the tensors of"},
      {R"({"hidden_size": 128})", "hidden_size is 128"},
      {R"({"head_dim": 64})", "head_dim is 64"},
      {R"({"num_heads": 4})", "num_heads is 4"},
      {R"({"vocab_size": 41})", "vocab_size is 41"},
      {R"({"intermediate_size": 1})", "intermediate_size is 1"},
      {R"({"decay_low_rank_dim": 1})", "decay_low_rank_dim is 1"},
      {R"({"hidden_act": "relu"})", "hidden_act is"},
      {R"({"norm_first": false})", "norm_first is false"},
      {R"({"attn": {"layers": [0]}})", "attn is given: a hybrid"},
      {R"({"norm_eps": -1})", "norm_eps is -1, expected a number between 0 and 1"},
      {R"({"vocab_size": "many"})", "vocab_size is"},
      {"[1, 2", "not a JSON object"}};
  for (const auto& [json, message] : wrong) {
    WriteConfig(json);
    const std::string refusal = RefusalOf(fla);
    EXPECT_TRUE(refusal.starts_with((folder_ / "config.json").string() + ": ")) << refusal;
    EXPECT_TRUE(Holds(refusal, message)) << refusal;
    EXPECT_EQ(refusal.find('\n'), std::string::npos);
  }
}

// A config.json beside a model under BlinkDL's names may be of anything.
TEST_F(HeaderTest, BlinkdlsNamesNeedNoConfigJson) {
  const auto path = folder_ / "model.safetensors";
  Write(NewModel(Generation::k7, 32), path);
  WriteConfig(R"({"norm_eps": 0.5, "num_hidden_layers": 99})");
  EXPECT_EQ(ConfigOf(Checkpoint(path)).ln_x_eps, 64e-5f);
}

// The number behind a key of type u32 or f32.
void PatchKey(std::string& file, const std::string& key, const std::string& four_bytes) {
  const size_t at = file.find(test::Little(key.size(), 8) + key);
  ASSERT_NE(at, std::string::npos) << key;
  test::Patch(file, at + 8 + key.size() + 4, four_bytes);
}

TEST_F(HeaderTest, EveryKeyOfAGgufFileThatChangesNumbersIsObeyedOrRefused) {
  for (const Generation generation : {Generation::k6, Generation::k7}) {
    const bool v7 = generation == Generation::k7;
    const auto blinkdl = folder_ / "blinkdl.safetensors", gguf = folder_ / "model.gguf";
    const Tensors model = NewModel(generation, 32);
    Write(model, blinkdl, {{"norm_eps", "0.001"}});
    const auto expected = LogitsOf(blinkdl);
    ConvertToGguf(Checkpoint(blinkdl), gguf, GgufType::kF32, {});
    const auto near = [&] { return goldens::Error(LogitsOf(gguf), expected); };
    EXPECT_LE(near(), 1e-5) << "layer_norm_epsilon was not kept";
    std::ifstream in(gguf, std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(in)), {});
    const std::string arch = v7 ? "rwkv7." : "rwkv6.";
    const auto patched = [&](const std::string& key, const std::string& bytes) {
      std::string file = whole;
      PatchKey(file, arch + key, bytes);
      std::ofstream(gguf, std::ios::binary) << file;
    };
    const float eps = 1e-5f;
    patched("attention.layer_norm_epsilon",
            std::string(reinterpret_cast<const char*>(&eps), sizeof(eps)));
    EXPECT_GT(near(), 1e-4) << "layer_norm_epsilon is not obeyed";
    std::vector<std::string> sizes = {"block_count", "embedding_length", "feed_forward_length",
                                      "vocab_size", "wkv.head_size"};
    const std::vector<std::string> ranks =
        v7 ? std::vector<std::string>{"attention.decay_lora_rank", "attention.iclr_lora_rank",
                                      "attention.gate_lora_rank"}
           : std::vector<std::string>{"time_mix_extra_dim", "time_decay_extra_dim"};
    sizes.insert(sizes.end(), ranks.begin(), ranks.end());
    for (const std::string& key : sizes) {
      // Nothing else in a file of RWKV-7 says it, since r_k is flat there.
      if (v7 && key == "wkv.head_size") continue;
      for (const uint64_t value : {1, 16}) {
        patched(key, test::Little(value, 4));
        const std::string refusal = RefusalOf(gguf);
        EXPECT_TRUE(refusal.starts_with(gguf.string() + ": "))
            << key << " " << value << ": " << refusal;
        EXPECT_TRUE(Holds(refusal, fmt::format("{}{} is {}, but", arch, key, value))) << refusal;
      }
    }
  }
}

TEST_F(HeaderTest, AGgufFileOfAnotherTokenShiftIsRefused) {
  const auto path = folder_ / "model.gguf";
  GgufWriter writer(
      path,
      {{"general.architecture", std::string("rwkv6")}, {"rwkv6.token_shift_count", uint32_t{1}}},
      {{"output_norm.weight", GgufType::kF32, {4}}});
  writer.Append(std::vector<float>(4));
  writer.Finish();
  EXPECT_TRUE(Holds(RefusalOf(path), "rwkv6.token_shift_count is 1, expected 2"))
      << RefusalOf(path);
}

// A file of rwkv.cpp: its header, and what RWKV-4 of one layer needs.
std::string GgmfOf(uint64_t vocab, uint64_t width, uint64_t layers) {
  const std::pair<const char*, std::vector<uint64_t>> tensors[] = {
      {"emb.weight", {8, 4}},
      {"head.weight", {8, 4}},
      {"blocks.0.ln1.weight", {4}},
      {"blocks.0.att.time_mix_k", {4}},
      {"blocks.0.att.key.weight", {4, 4}},
      {"blocks.0.ffn.key.weight", {16, 4}}};
  std::string file = test::Little(0x67676d66, 4) + test::Little(101, 4);
  for (const uint64_t n : {vocab, width, layers, uint64_t{0}}) file += test::Little(n, 4);
  for (const auto& [name, shape] : tensors) {
    file += test::Little(shape.size(), 4) + test::Little(std::strlen(name), 4) + test::Little(0, 4);
    size_t bytes = 4;
    for (size_t i = shape.size(); i-- > 0;) {
      file += test::Little(shape[i], 4);
      bytes *= shape[i];
    }
    file += name + std::string(bytes, '\0');
  }
  return file;
}

TEST_F(HeaderTest, RwkvCppsFirstNumbersAreComparedWithTheTensors) {
  const auto refusal = [](const std::string& file) {
    return MessageOf([&] { ConfigOf(Checkpoint(TensorFile::Parse(test::Bytes(file), "f.bin"))); });
  };
  EXPECT_EQ(refusal(GgmfOf(8, 4, 1)), "");
  EXPECT_TRUE(Holds(refusal(GgmfOf(9, 4, 1)), "f.bin: ggmf.n_vocab is 9, but the tensors say 8"));
  EXPECT_TRUE(Holds(refusal(GgmfOf(8, 5, 1)), "ggmf.n_embed is 5, but the tensors say 4"));
  EXPECT_TRUE(Holds(refusal(GgmfOf(8, 4, 2)), "ggmf.n_layer is 2, but the tensors say 1"));
}

TEST_F(HeaderTest, APackedFilesSizesAreComparedWithItsTensors) {
  const auto path = folder_ / "model.safetensors", packed = folder_ / "packed.safetensors";
  Write(NewModel(Generation::k7, 32), path);
  ThreadPool pool(1);
  QuantizeCheckpoint(Checkpoint(path), packed, pool, {});
  std::ifstream in(packed, std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(in)), {});
  const std::string layers = R"("layers":"2")";
  ASSERT_NE(file.find(layers), std::string::npos);
  test::Patch(file, file.find(layers), R"("layers":"3")");
  std::ofstream(packed, std::ios::binary) << file;
  EXPECT_TRUE(Holds(RefusalOf(packed), "layers is 3, but the tensors say 2")) << RefusalOf(packed);
}

TEST(HeaderGoldenTest, FilesAsPeopleHaveThem) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  for (const char* name : {"cases/fla-head128", "cases/fla-tied"}) {
    const auto golden = TensorFile::Open(Data(std::string(name) + "/expected.safetensors"));
    EXPECT_LE(goldens::Error(LogitsOf(Data(std::string(name) + "/model.safetensors")),
                             ReadAll(*golden.Find("logits"))),
              1e-5)
        << name;
  }
  const std::string refusal = RefusalOf(Data("cases/ggmf-layer-missing.bin"));
  EXPECT_TRUE(Holds(refusal, "ggmf-layer-missing.bin: ggmf.n_layer is 12, but the tensors say 11"))
      << refusal;
  const Checkpoint bare(Data("cases/fla-noprefix/model.safetensors"));
  EXPECT_EQ(KindOf(bare), FileKind::kModel);
  EXPECT_EQ(bare.naming(), TensorNaming::kFla);
}

}  // namespace
}  // namespace linnet
