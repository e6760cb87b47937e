// linnet quantize as users run it; and a reader of packed files that knows docs/format.md alone.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "io/tensor_file.h"
#include "models/names.h"
#include "models/packed.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// docs/format.md and nothing else: no header of the library is used in here.
class FormatReader {
 public:
  explicit FormatReader(std::string bytes) : bytes_(std::move(bytes)) {
    uint64_t length = 0;
    std::memcpy(&length, bytes_.data(), 8);
    data_ = 8 + length;
    header_ = json::parse(bytes_.substr(8, length));
    metadata_ = header_["__metadata__"];
    header_.erase("__metadata__");
  }

  const json& header() const { return header_; }
  const json& metadata() const { return metadata_; }
  uint64_t data_offset() const { return data_; }

  // All values of a tensor in the row-major order of its logical shape.
  std::vector<float> Values(const std::string& name) const {
    const json& entry = header_.at(name);
    const size_t begin = data_ + entry["data_offsets"][0].get<size_t>();
    std::vector<float> out;
    if (!metadata_.contains("packed." + name)) {
      EXPECT_TRUE(entry["dtype"] == "F32" || entry["dtype"] == "BF16" || entry["dtype"] == "F16");
      size_t count = 1;
      for (const auto& n : entry["shape"]) count *= n.get<size_t>();
      for (size_t i = 0; i < count; ++i) {
        out.push_back(entry["dtype"] == "F32"    ? At<float>(begin + 4 * i)
                      : entry["dtype"] == "BF16" ? Bf16(begin + 2 * i)
                                                 : F16(begin + 2 * i));
      }
      return out;
    }
    std::istringstream note(metadata_.at("packed." + name).get<std::string>());
    std::string type, layout;
    note >> type >> layout;
    std::vector<size_t> sizes;
    for (size_t n = 0; note >> n;) sizes.push_back(n);
    EXPECT_EQ(entry["dtype"], "U8");
    if (layout == "rows") return Rows(begin, sizes[0], sizes[1]);
    EXPECT_EQ(begin % 64, 0u) << name;
    if (layout == "panels") {
      for (size_t o = 0; o < sizes[0]; ++o) {
        for (size_t k = 0; k < sizes[1]; ++k) {
          out.push_back(Element(type, begin, o, k, sizes[1]));
        }
      }
      return out;
    }
    EXPECT_EQ(layout, "panels-transposed");
    const size_t slices = sizes.size() == 3 ? sizes[0] : 1;
    const size_t in = sizes[sizes.size() - 2], outputs = sizes.back();
    const size_t bytes = (outputs + 63) / 64 * PanelBytes(type, in);
    for (size_t s = 0; s < slices; ++s) {
      for (size_t k = 0; k < in; ++k) {
        for (size_t o = 0; o < outputs; ++o) {
          out.push_back(Element(type, begin + s * bytes, o, k, in));
        }
      }
    }
    return out;
  }

 private:
  template <class T>
  T At(size_t offset) const {
    T value;
    std::memcpy(&value, bytes_.data() + offset, sizeof(T));
    return value;
  }
  float Bf16(size_t offset) const {
    const uint32_t bits = uint32_t{At<uint16_t>(offset)} << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
  }
  float F16(size_t offset) const {
    const uint16_t bits = At<uint16_t>(offset);
    const int exponent = (bits >> 10) & 31, mantissa = bits & 1023;
    const double size =
        exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
    return static_cast<float>((bits & 0x8000) != 0 ? -size : size);
  }

  static size_t PanelBytes(const std::string& type, size_t in) {
    if (type == "f32") return 256 * in;
    if (type == "f16") return 128 * in;
    if (type == "bf16") return 256 * ((in + 1) / 2);
    return (in + 63) / 64 * (type == "int8" ? 4224 : 2176);
  }

  float Element(const std::string& type, size_t begin, size_t output, size_t k, size_t in) const {
    static const float kBook[16] = {-1,
                                    -0.6961928009986877f,
                                    -0.5250730514526367f,
                                    -0.39491748809814453f,
                                    -0.28444138169288635f,
                                    -0.18477343022823334f,
                                    -0.09105003625154495f,
                                    0,
                                    0.07958029955625534f,
                                    0.16093020141124725f,
                                    0.24611230194568634f,
                                    0.33791524171829224f,
                                    0.44070982933044434f,
                                    0.5626170039176941f,
                                    0.7229568362236023f,
                                    1};
    const size_t panel = begin + output / 64 * PanelBytes(type, in), o = output % 64;
    if (type == "f32") return At<float>(panel + 4 * (64 * k + o));
    if (type == "f16") return F16(panel + 2 * (64 * k + o));
    if (type == "bf16") return Bf16(panel + 2 * (128 * (k / 2) + 2 * o + k % 2));
    const size_t i = k % 64;
    if (type == "int8") {
      const size_t block = panel + k / 64 * 4224;
      const int q = At<uint8_t>(block + 256 * (i / 4) + 4 * o + i % 4) - 128;
      return static_cast<float>(q) * (F16(block + 4096 + 2 * o) * (1.0f / 127));
    }
    EXPECT_EQ(type, "nf4");
    const size_t block = panel + k / 64 * 2176;
    const uint8_t byte = At<uint8_t>(block + 256 * (i / 8) + 4 * o + i % 4);
    return kBook[i % 8 < 4 ? byte & 15 : byte >> 4] * F16(block + 2048 + 2 * o);
  }

  std::vector<float> Rows(size_t begin, size_t rows, size_t cols) const {
    const size_t scales = (cols + 63) / 64;
    std::vector<float> out;
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = begin + row * (4 * scales + cols);
      for (size_t c = 0; c < cols; ++c) {
        out.push_back(At<float>(at + c / 64 * 4) *
                      static_cast<float>(At<int8_t>(at + 4 * scales + c)));
      }
    }
    return out;
  }

  std::string bytes_;
  uint64_t data_ = 0;
  json header_, metadata_;
};

// A model no dimension of which fills its panels or blocks.
void Init(const std::string& generation, const std::string& out, const char* dtype = "f32") {
  const Outcome outcome = RunLinnet({"init", "--generation", generation, "--layers", "3", "--width",
                                     "96", "--head-size", "32", "--vocab", "256", "--random",
                                     "--ffn", "201", "--dtype", dtype, out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

Outcome Quantize(const std::string& in, const std::string& out, const std::string& type,
                 const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"quantize", in, out, "--type", type};
  words.insert(words.end(), more.begin(), more.end());
  return RunLinnet(words);
}

std::string TypeIn(const Checkpoint& c, const std::string& name) { return TypeName(*c.Find(name)); }

// Where the bytes of a safetensors file's tensor begin.
size_t TensorOffset(const std::string& bytes, const std::string& name) {
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  const json header = json::parse(bytes.substr(8, length));
  return 8 + length + header.at(name)["data_offsets"][0].get<size_t>();
}

TEST(Quantize, WritesWhatTheFormatSays) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", packed = scratch / "p.safetensors",
                    plain = scratch / "plain.safetensors";
  for (const std::string generation : {"4", "5.2", "6", "7"}) {
    Init(generation, source);
    for (const std::string type : {"f16", "bf16", "int8", "nf4"}) {
      SCOPED_TRACE(generation + " " + type);
      const Outcome outcome = Quantize(source, packed, type);
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      EXPECT_EQ(outcome.out, "");
      EXPECT_NE(outcome.err.find(" GB"), std::string::npos);
      ASSERT_EQ(RunLinnet({"convert", packed, plain, "--type", "f32"}).exit_code, 0);
      const FormatReader reader(ReadFile(packed));
      EXPECT_EQ(reader.data_offset() % 64, 0u);
      EXPECT_EQ(reader.metadata()["kind"], "linnet packed");
      EXPECT_EQ(reader.metadata()["version"], "1");
      EXPECT_EQ(reader.metadata()["generation"], generation);
      const TensorFile converted = TensorFile::Open(plain), original = TensorFile::Open(source);
      ASSERT_EQ(reader.header().size(), original.tensors().size());
      const double allowed = type == "nf4" ? 0.16 : type == "int8" ? 0.005 : 0.005;
      for (const TensorView& t : original.tensors()) {
        const auto values = reader.Values(t.name), from = ReadAll(t);
        EXPECT_EQ(values, ReadAll(*converted.Find(t.name))) << t.name;
        ASSERT_EQ(values.size(), from.size()) << t.name;
        double largest = 0, error = 0;
        for (size_t i = 0; i < from.size(); ++i) {
          largest = std::max(largest, std::abs(double{from[i]}));
          error = std::max(error, std::abs(double{from[i]} - values[i]));
        }
        EXPECT_LE(error, allowed * largest) << t.name;
      }
    }
  }
}

TEST(Quantize, GivesEachTensorTheTypeOfItsName) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", packed = scratch / "p.safetensors";
  const std::regex matrix(
      "head\\.weight|blocks\\.\\d+\\.(att|ffn)\\.(key|value|receptance|gate|output)\\.weight");
  const std::regex factor("blocks\\.\\d+\\.att\\.(time_maa_|time_decay_)?[wavg][12]");
  const std::map<std::string, size_t> factors = {{"4", 0}, {"5.2", 0}, {"6", 12}, {"7", 22}};
  for (const auto& [generation, count] : factors) {
    Init(generation, source);
    for (const std::string type : {"f16", "bf16", "int8", "nf4"}) {
      SCOPED_TRACE(generation + " " + type);
      ASSERT_EQ(Quantize(source, packed, type).exit_code, 0);
      const bool integers = type == "int8" || type == "nf4";
      const Checkpoint c(packed);
      size_t low_rank = 0, matrices = 0;
      for (const TensorView& t : c.tensors()) {
        std::string expected = "f32";
        if (std::regex_match(t.name, matrix)) {
          expected = type;
          ++matrices;
        } else if (std::regex_match(t.name, factor)) {
          expected = integers ? "bf16" : type;
          ++low_rank;
        } else if (t.name == "emb.weight") {
          expected = integers ? "int8" : type;
        }
        EXPECT_EQ(TypeName(t), expected) << t.name;
      }
      EXPECT_EQ(low_rank, count);
      EXPECT_EQ(matrices, 1 + 3 * (generation == "4" ? 7u : generation == "7" ? 6u : 8u));
    }
  }
}

TEST(Quantize, KeepsWhatItIsTold) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", packed = scratch / "p.safetensors";
  Init("6", source);
  ASSERT_EQ(Quantize(source, packed, "nf4",
                     {"--layers", "2", "--head", "int8", "--keep", "0\\.ffn\\.val|1\\.att\\.key",
                      "--low-rank", "int8"})
                .exit_code,
            0);
  const Checkpoint c(packed);
  EXPECT_EQ(TypeIn(c, "head.weight"), "int8");
  EXPECT_EQ(TypeIn(c, "emb.weight"), "int8");
  EXPECT_EQ(TypeIn(c, "blocks.0.att.key.weight"), "nf4");
  EXPECT_EQ(TypeIn(c, "blocks.1.ffn.value.weight"), "nf4");
  EXPECT_EQ(TypeIn(c, "blocks.0.ffn.value.weight"), "f32");
  EXPECT_EQ(TypeIn(c, "blocks.1.att.key.weight"), "f32");
  EXPECT_EQ(TypeIn(c, "blocks.2.att.key.weight"), "f32");
  EXPECT_EQ(TypeIn(c, "blocks.0.att.time_maa_w1"), "int8");
  EXPECT_EQ(TypeIn(c, "blocks.2.att.time_maa_w1"), "f32");
  EXPECT_EQ(TypeIn(c, "blocks.0.att.time_decay"), "f32");
  // And runs.
  const Outcome run =
      RunLinnet({"logits", packed, "--tokens", "1,2,3", "--out", scratch / "l.safetensors"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
}

TEST(Quantize, AgainFromAPackedFile) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", one = scratch / "1.safetensors",
                    two = scratch / "2.safetensors";
  Init("7", source);
  ASSERT_EQ(Quantize(source, one, "int8").exit_code, 0);
  ASSERT_EQ(Quantize(one, two, "nf4", {"--layers", "1"}).exit_code, 0);
  const Checkpoint c(two);
  EXPECT_EQ(TypeIn(c, "blocks.0.att.key.weight"), "nf4");
  EXPECT_EQ(TypeIn(c, "blocks.1.att.key.weight"), "int8");
  EXPECT_EQ(c.file().metadata().at("model_hash"),
            Checkpoint(one).file().metadata().at("model_hash"));
  // To the types that it has: the same file.
  ASSERT_EQ(Quantize(one, two, "int8").exit_code, 0);
  EXPECT_TRUE(ReadFile(two) == ReadFile(one));
}

TEST(Quantize, ReportsNoDifferenceOnlyWhereThereIsNone) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", out = scratch / "p.safetensors",
                    text = scratch / "text.txt";
  Init("7", source, "bf16");
  WriteFile(text, "The linnet is a small finch. It eats flax, and sings.");
  const auto report = [&](const char* type) {
    const Outcome outcome = Quantize(source, out, type, {"--report", text, "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out)["report"];
  };
  const json same = report("bf16"), less = report("int8"), least = report("nf4");
  EXPECT_EQ(same["largest_logit_error"], 0);
  EXPECT_EQ(same["largest_kl"], 0);
  EXPECT_EQ(same["same_choice"], 1);
  EXPECT_EQ(same["bits_per_byte_before"], same["bits_per_byte_after"]);
  EXPECT_EQ(same["bytes"], 53);
  EXPECT_GT(less["kl"], 0);
  EXPECT_GT(least["kl"], less["kl"]);
  const auto perplexity = [&](const std::string& model) {
    const Outcome outcome = RunLinnet({"perplexity", model, text, "--exact", "--json"});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out)["perplexity"].get<double>();
  };
  for (const char* end : {"before", "after"}) {  // of the nf4 that stands there
    const double of_itself = perplexity(std::string(end) == "before" ? source : out);
    EXPECT_NEAR(least[fmt::format("perplexity_{}", end)].get<double>() / of_itself, 1, 1e-6) << end;
  }
  EXPECT_NE(least["perplexity_before"], least["perplexity_after"]);
  const Outcome words = Quantize(source, out, "nf4", {"--report", text});
  EXPECT_NE(words.out.find("bits per byte before"), std::string::npos);
  EXPECT_NE(words.out.find("KL divergence"), std::string::npos);
}

TEST(Quantize, MissesATokenizerBeforeItWrites) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", out = scratch / "p.safetensors",
                    text = scratch / "text.txt";
  ASSERT_EQ(RunLinnet({"init", "--generation", "4", "--layers", "1", "--width", "64", "--vocab",
                       "300", source})
                .exit_code,
            0);
  WriteFile(text, "The linnet is a small finch.");
  const Outcome outcome = Quantize(source, out, "nf4", {"--report", text});
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("--vocab"), std::string::npos) << outcome.err;
  EXPECT_FALSE(fs::exists(out));
}

TEST(Quantize, NobodyIsToldANumberThatIsNone) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", out = scratch / "p.safetensors",
                    text = scratch / "text.txt";
  Init("4", source);
  std::string bytes = ReadFile(source);
  const size_t head = TensorOffset(bytes, "head.weight");
  const uint32_t infinity = 0x7f800000;
  std::memcpy(bytes.data() + head + 4000, &infinity, 4);
  WriteFile(source, bytes);
  WriteFile(text, "The linnet is a small finch.");
  const Outcome scored = RunLinnet({"perplexity", source, text, "--json"});
  EXPECT_EQ(scored.exit_code, 1);
  EXPECT_EQ(scored.out, "");
  EXPECT_NE(scored.err.find("is not finite"), std::string::npos) << scored.err;
  const Outcome loaded = RunLinnet({"perplexity", source, text, "--quant", "int8"});
  EXPECT_EQ(loaded.exit_code, 1);
  EXPECT_NE(loaded.err.find("head.weight holds inf"), std::string::npos) << loaded.err;
  const Outcome written = Quantize(source, out, "nf4");
  EXPECT_EQ(written.exit_code, 1);
  EXPECT_NE(written.err.find("head.weight holds inf"), std::string::npos) << written.err;
  EXPECT_FALSE(fs::exists(out));
}

TEST(Quantize, RefusesAndLeavesNothing) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", out = scratch / "p.safetensors",
                    junk = scratch / "junk.safetensors";
  Init("4", source);
  WriteFile(junk, "<!DOCTYPE html>");
  EXPECT_EQ(Quantize(source, scratch / "p.pth", "int8").exit_code, 2);
  EXPECT_EQ(Quantize(source, out, "int3").exit_code, 2);
  EXPECT_EQ(Quantize(source, out, "int8", {"--keep", "("}).exit_code, 2);
  EXPECT_EQ(Quantize(source, out, "int8", {"--layers", "-5"}).exit_code, 2);
  // Said before the file is written.
  const Outcome report = Quantize(source, out, "int8", {"--report", "missing.txt"});
  EXPECT_EQ(report.exit_code, 1);
  EXPECT_NE(report.err.find("missing.txt"), std::string::npos) << report.err;
  const Outcome outcome = Quantize(junk, out, "int8");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_NE(outcome.err.find("junk.safetensors"), std::string::npos);
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
  size_t files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(out).parent_path())) {
    (void)entry;
    ++files;
  }
  EXPECT_EQ(files, 2u);  // the two inputs
}

TEST(Quantize, InitWritesPackedFilesThatRun) {
  const ScratchFolder scratch;
  const std::string file = scratch / "new.safetensors", out = scratch / "l.safetensors";
  for (const std::string type : {"int8", "nf4"}) {
    Init("7", file, type.c_str());
    EXPECT_EQ(TypeIn(Checkpoint(file), "blocks.1.ffn.key.weight"), type);
    const Outcome run = RunLinnet({"logits", file, "--tokens", "1,2,3", "--out", out});
    ASSERT_EQ(run.exit_code, 0) << run.err;
    for (const float x : ReadAll(*TensorFile::Open(out).Find("logits"))) {
      ASSERT_TRUE(std::isfinite(x));
    }
  }
}

TEST(Quantize, InspectShowsLogicalTensors) {
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", packed = scratch / "p.safetensors";
  Init("6", source);
  ASSERT_EQ(Quantize(source, packed, "nf4").exit_code, 0);
  const json before = json::parse(RunLinnet({"inspect", source, "--json"}).out);
  const json after = json::parse(RunLinnet({"inspect", packed, "--json"}).out);
  for (const char* key : {"kind", "generation", "layers", "width", "heads", "head_size", "ffn",
                          "vocab", "ranks", "parameters"}) {
    EXPECT_EQ(before[key], after[key]) << key;
  }
  EXPECT_GT(after["dtypes"]["nf4"], after["dtypes"]["bf16"]);
  std::map<std::string, json> shapes;
  for (const json& t : before["tensors"]) shapes[t["name"]] = t["shape"];
  EXPECT_EQ(after["tensors"].size(), shapes.size());
  for (const json& t : after["tensors"]) EXPECT_EQ(t["shape"], shapes[t["name"]]) << t["name"];
}

// 350 MB in, however much of it there is in memory: tens of megabytes.
TEST(Quantize, HoldsFarLessThanTheFile) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const ScratchFolder scratch;
  const std::string source = scratch / "source.safetensors", packed = scratch / "p.safetensors";
  ASSERT_EQ(RunLinnet({"init", "--generation", "4", "--layers", "4", "--width", "1024", "--vocab",
                       "16384", "--random", "--dtype", "f32", source})
                .exit_code,
            0);
  ASSERT_GT(fs::file_size(source), 340'000'000u);
  const Outcome outcome = Quantize(source, packed, "nf4", {"--threads", "2"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_LT(outcome.peak_bytes, 150'000'000u);
  // On a terminal a bar shows how far it is, if it takes longer than a moment, as it does here by
  // being stopped after its first bytes; nothing stays of it. On a busy machine it can end before
  // it is stopped, and runs again.
  const auto begun = [&](const std::string&) {
    const auto files = fs::directory_iterator(fs::path(packed).parent_path());
    return std::any_of(begin(files), end(files), [&](const fs::directory_entry& file) {
      std::error_code gone;
      return file.path() != source && file.file_size(gone) > 0;
    });
  };
  Outcome seen{};
  for (int runs = 0; runs < 10 && seen.out.find(" [") == std::string::npos; ++runs) {
    fs::remove(packed);
    seen = RunInTerminal({"quantize", source, packed, "--type", "nf4", "--threads", "1"}, begun);
    ASSERT_EQ(seen.exit_code, 0) << seen.out;
    EXPECT_NE(seen.out.find(" GB, "), std::string::npos) << seen.out;
  }
  const size_t bar = seen.out.find("Writing " + packed + " [");
  ASSERT_NE(bar, std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("#", bar), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find(" %", bar), std::string::npos) << seen.out;
  EXPECT_NE(seen.out.find("\r\x1b[J" + packed + ": ", bar), std::string::npos) << seen.out;
}

}  // namespace
}  // namespace linnet
