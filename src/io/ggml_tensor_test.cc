// Blocks of the formats that no checkpoint of the tests has are decoded as their definitions say.
#include "io/ggml_tensor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "tensor/half.h"

namespace linnet {
namespace {

using BlockBytes = std::vector<std::byte>;

int At(const BlockBytes& block, size_t i) { return std::to_integer<int>(block[i]); }

float Half(const BlockBytes& block, size_t at) {
  uint16_t bits;
  std::memcpy(&bits, block.data() + at, sizeof(bits));
  return F16ToF32(bits);
}

// Random bytes, but two halves at the start that are numbers of a usual size.
BlockBytes RandomBlock(GgmlBlock format, uint32_t seed, float scale, float minimum) {
  BlockBytes block(BytesPerBlock(format));
  for (std::byte& b : block)
    b = static_cast<std::byte>((seed = seed * 1664525u + 1013904223u) >> 24);
  const uint16_t halves[] = {F32ToF16(scale), F32ToF16(minimum)};
  std::memcpy(block.data(), halves, sizeof(halves));
  return block;
}

// block_q4_1: d, m, and 16 bytes with values i and i + 16; d q + m.
double ValueOfQ4_1(const BlockBytes& b, size_t i) {
  const int byte = At(b, 4 + i % 16);
  return double{Half(b, 0)} * (i < 16 ? byte % 16 : byte / 16) + Half(b, 2);
}

// block_q5_K: d, dmin, 12 bytes of eight 6-bit scales and minimums, 32 bytes with the fifth bit of
// values of group j in bit j, and 128 bytes of the low four; d scale q - dmin minimum.
double ValueOfQ5K(const BlockBytes& b, size_t i) {
  const size_t group = i / 32, place = i % 32;
  const auto six = [&](size_t first, size_t high) {  // the scales begin at 4, the minimums at 8
    if (group < 4) return At(b, first + group) & 63;
    const int both = At(b, 12 + group - 4);
    return (high == 0 ? both & 15 : both >> 4) | (At(b, first + group - 4) >> 6) << 4;
  };
  const int pair = At(b, 48 + 32 * (group / 2) + place);
  const int low = group % 2 == 0 ? pair & 15 : pair >> 4;
  const int q = low + 16 * ((At(b, 16 + place) >> group) & 1);
  return double{Half(b, 0)} * six(4, 0) * q - double{Half(b, 2)} * six(8, 1);
}

std::vector<float> Decoded(GgmlBlock format, const BlockBytes& block) {
  std::vector<float> values(ValuesPerBlock(format));
  GgmlMatrix(format, 1, values.size(), block.data()).Read(0, 1, values.data());
  return values;
}

TEST(GgmlBlocksTest, AreDecodedAsTheirDefinitionsSay) {
  const auto check = [](GgmlBlock format, double (*value)(const BlockBytes&, size_t)) {
    for (uint32_t seed = 1; seed <= 50; ++seed) {
      const BlockBytes block = RandomBlock(format, seed, 0.001f * static_cast<float>(seed), -0.3f);
      const auto values = Decoded(format, block);
      for (size_t i = 0; i < values.size(); ++i) {
        ASSERT_EQ(values[i], static_cast<float>(value(block, i))) << Name(format) << " " << i;
      }
    }
  };
  check(GgmlBlock::kQ4_1, ValueOfQ4_1);
  check(GgmlBlock::kQ5K, ValueOfQ5K);
}

// What the Python package gguf 0.19.0, llama.cpp's own, makes of two such blocks: all values of the
// one, each eighth of the other.
TEST(GgmlBlocksTest, AreThoseOfLlamaCpp) {
  const std::vector<float> q4_1 = {
      0.717407227f, 0.705108643f, 0.717407227f, 0.729705811f, 0.582122803f, 0.705108643f,
      0.680511475f, 0.668212891f, 0.606719971f, 0.717407227f, 0.692810059f, 0.655914307f,
      0.655914307f, 0.705108643f, 0.680511475f, 0.692810059f, 0.569824219f, 0.729705811f,
      0.631317139f, 0.569824219f, 0.582122803f, 0.754302979f, 0.754302979f, 0.668212891f,
      0.655914307f, 0.668212891f, 0.680511475f, 0.717407227f, 0.717407227f, 0.643615723f,
      0.655914307f, 0.729705811f};
  const std::vector<float> q5_k = {
      -7.17810059f, -5.5546875f,  -5.40710449f,  -8.35876465f,  -26.31427f,   -32.9555054f,
      -29.9669495f, -24.3218994f, -25.2484131f,  -23.5266113f,  -26.9702148f, -28.3476562f,
      -4.07894897f, -3.5993042f,  -0.881317139f, 0.0779724121f, -3.98876953f, -3.10327148f,
      -2.99258423f, -3.17706299f, -25.2689209f,  -28.9584961f,  -20.8414307f, -31.9101562f,
      -27.3637695f, -27.0440063f, -30.5614014f,  -22.887085f,   -23.436554f,  -23.0921936f,
      -24.2974548f, -24.2113647f};
  EXPECT_EQ(Decoded(GgmlBlock::kQ4_1, RandomBlock(GgmlBlock::kQ4_1, 7, 0.0123f, 0.57f)), q4_1);
  const auto all = Decoded(GgmlBlock::kQ5K, RandomBlock(GgmlBlock::kQ5K, 7, 0.0123f, 0.57f));
  ASSERT_EQ(all.size(), 8 * q5_k.size());
  for (size_t i = 0; i < q5_k.size(); ++i) EXPECT_EQ(all[8 * i], q5_k[i]) << i;
}

}  // namespace
}  // namespace linnet
