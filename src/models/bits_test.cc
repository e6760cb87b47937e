// The law of bits: token by token = all at once = any chunking = inside any batch = any number of
// threads, for every generation, format, mode and instruction-set level.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/isa.h"
#include "linnet/model.h"
#include "models/quantize.h"
#include "models/test_ggufs.h"
#include "models/test_models.h"

namespace linnet {
namespace {

constexpr size_t kTokens = 21;

struct Outcome {
  std::vector<float> logits;
  std::vector<float> state;

  bool operator==(const Outcome& o) const { return Same(logits, o.logits) && Same(state, o.state); }
  // memcmp: -0 is not 0, and NaN is NaN.
  static bool Same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
};

std::vector<int32_t> Tokens(size_t count, size_t seed, size_t vocab) {
  std::vector<int32_t> ids;
  for (size_t t = 0; t < count; ++t) {
    ids.push_back(static_cast<int32_t>((seed + 37 * t + t * t) % vocab));
  }
  return ids;
}

struct Way {
  size_t chunk = kTokens;
  size_t threads = 1;
  size_t companions = 0;  // other sequences, half of them before the observed one
  size_t max_rows = 0;
};

Outcome RunAs(const Model& model, const Way& way, bool exact) {
  const size_t vocab = model.config().vocab;
  const auto tokens = Tokens(kTokens, 5, vocab);
  Workspace workspace({.threads = way.threads, .exact = exact, .max_rows = way.max_rows});
  Outcome out;
  out.logits.resize(kTokens * vocab);
  State state = model.NewState();
  std::vector<State> states;
  std::vector<std::vector<int32_t>> others;
  for (size_t i = 0; i < way.companions; ++i) {
    states.push_back(model.NewState());
    others.push_back(Tokens(1 + (5 * i) % 13, 100 + i, vocab));
  }
  for (size_t begin = 0; begin < kTokens; begin += way.chunk) {
    const size_t len = std::min(way.chunk, kTokens - begin);
    std::vector<Turn> turns;
    for (size_t i = 0; i < way.companions; ++i) turns.push_back({others[i], &states[i], {}});
    const Turn observed{std::span(tokens).subspan(begin, len), &state,
                        std::span(out.logits).subspan(begin * vocab, len * vocab)};
    turns.insert(turns.begin() + static_cast<ptrdiff_t>(way.companions / 2), observed);
    model.Forward(turns, workspace);
  }
  for (const StateTensor& t : state.ToReference()) {
    out.state.insert(out.state.end(), t.values.begin(), t.values.end());
  }
  return out;
}

// On every instruction-set level, exact and by default.
void ExpectTheSameBits(const std::filesystem::path& file, const OpenOptions& options) {
  const std::vector<Way> ways = {{.chunk = 1},
                                 {.chunk = 1, .threads = 2},
                                 {.chunk = 2},
                                 {.chunk = 8, .threads = 3},
                                 {.companions = 5, .max_rows = 9},
                                 {.chunk = 1, .companions = 3},
                                 {.chunk = 10, .threads = 2, .companions = 31},
                                 {.max_rows = 4}};
  for (const Isa isa : SupportedIsas()) {
    ForceIsa(isa);
    const Model model = Model::Open(file, options);
    for (const bool exact : {true, false}) {
      const Outcome whole = RunAs(model, {}, exact);
      for (size_t i = 0; i < ways.size(); ++i) {
        EXPECT_TRUE(RunAs(model, ways[i], exact) == whole)
            << Name(isa) << (exact ? " exact" : " default") << ", way " << i;
      }
    }
  }
  ForceIsa(SupportedIsas().back());
}

std::string LettersOf(std::string name) {
  std::erase_if(name, [](char c) { return !std::isalnum(static_cast<unsigned char>(c)); });
  return name;
}

class BitsTest : public testing::TestWithParam<std::tuple<const char*, DType>> {};

TEST_P(BitsTest, DoNotDependOnChunksBatchOrThreads) {
  const auto [version, dtype] = GetParam();
  OpenOptions options;
  options.quant = dtype;
  ExpectTheSameBits(test::RandomModel(version), options);
}

TEST_P(BitsTest, NorDoThoseOfOddSizes) {
  const auto [version, dtype] = GetParam();
  OpenOptions options;
  options.quant = dtype;
  ExpectTheSameBits(test::OddModel(version), options);
}

INSTANTIATE_TEST_SUITE_P(Generations, BitsTest,
                         testing::Combine(testing::Values("v4", "v5.0", "v5.1", "v5.2", "v6",
                                                          "v6moe", "v7", "v7a", "v7b", "goldfinch"),
                                          testing::Values(DType::kF32, DType::kF16, DType::kBF16,
                                                          DType::kI8, DType::kNF4)),
                         [](const auto& test) {
                           return LettersOf(std::get<0>(test.param)) + "_" +
                                  LettersOf(Name(std::get<1>(test.param)));
                         });

// Experts that are packed at their first use, of which only the last one is kept, and such as run
// where they are mapped.
TEST(ExpertBitsTest, DoNotDependOnChunksBatchOrThreads) {
  OpenOptions one;
  one.expert_bytes = 1;
  ExpectTheSameBits(test::RandomModel("v6moe"), one);
  const test::TemporaryFolder scratch;
  ThreadPool pool(2);
  for (const DType dtype : {DType::kBF16, DType::kI8, DType::kNF4}) {
    const auto file = scratch / "packed.safetensors";
    QuantizeCheckpoint(Checkpoint(test::RandomModel("v6moe")), file, pool,
                       {.packing = {.type = dtype}});
    ExpectTheSameBits(file, {});
  }
}

// ggml's blocks run as they lie, by kernels of their own, which do not know the generation: each
// format is tested in one of the two that GGUF has.
class GgmlBitsTest : public testing::TestWithParam<GgmlBlock> {};

TEST_P(GgmlBitsTest, DoNotDependOnChunksBatchOrThreads) {
  const char* version = static_cast<size_t>(GetParam()) % 2 == 0 ? "v6" : "v7";
  ExpectTheSameBits(test::GgufModel(version, GetParam()), {});
}

INSTANTIATE_TEST_SUITE_P(Formats, GgmlBitsTest, testing::ValuesIn(test::kGgmlTypes),
                         [](const auto& test) { return LettersOf(Name(test.param)); });

}  // namespace
}  // namespace linnet
