#include "kernels/ggml_tiles.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "kernels/each_isa.h"
#include "tensor/half.h"

namespace linnet {
namespace {

constexpr GgmlBlock kFormats[] = {GgmlBlock::kQ4_0, GgmlBlock::kQ4_1, GgmlBlock::kQ5_0,
                                  GgmlBlock::kQ5_1, GgmlBlock::kQ8_0, GgmlBlock::kQ4K,
                                  GgmlBlock::kQ5K,  GgmlBlock::kQ6K};

uint32_t Next(uint32_t& seed) { return seed = seed * 1664525u + 1013904223u; }

// Random bits, with scales near 1/64.
std::vector<std::byte> RandomBlocks(GgmlBlock format, size_t blocks) {
  const size_t bytes = BytesPerBlock(format);
  std::vector<std::byte> out(blocks * bytes);
  uint32_t seed = 7;
  for (auto& b : out) b = static_cast<std::byte>(Next(seed) >> 24);
  const bool two = format == GgmlBlock::kQ4_1 || format == GgmlBlock::kQ5_1 ||
                   format == GgmlBlock::kQ4K || format == GgmlBlock::kQ5K;
  for (size_t i = 0; i < blocks; ++i) {
    std::byte* scale = out.data() + i * bytes + (format == GgmlBlock::kQ6K ? 208 : 0);
    for (size_t n = 0; n < (two ? 2 : 1); ++n) {
      const uint16_t half = F32ToF16(static_cast<float>(Next(seed) >> 16) / 0x1p22f + 0.01f);
      std::memcpy(scale + 2 * n, &half, sizeof(half));
    }
  }
  return out;
}

struct Case {
  explicit Case(GgmlBlock format, size_t outputs, size_t inputs, size_t rows)
      : blocks(RandomBlocks(format, outputs * inputs / ValuesPerBlock(format))), x(rows * inputs) {
    w = {DType::kGgml, outputs, inputs, blocks.data(), format, 0.25f};
    uint32_t seed = 3;
    for (float& v : x) v = static_cast<float>(Next(seed) >> 8) / 0x1p23f - 1.0f;
  }
  Activations Rows(size_t begin, size_t count) const {
    return {Activation::kF32, reinterpret_cast<const std::byte*>(x.data() + begin * w.cols), count,
            w.cols * sizeof(float)};
  }
  std::vector<std::byte> blocks;
  std::vector<float> x;
  Weight w;
};

class GgmlTilesTest : public EachIsa {};

TEST_P(GgmlTilesTest, ProductsAreThoseOfTheDecodedValues) {
  for (const GgmlBlock format : kFormats) {
    const size_t rows = 67, outputs = 131, inputs = 1280 + 256;
    const Case c(format, outputs, inputs, rows);
    std::vector<float> values(outputs * inputs), y(rows * outputs, NAN);
    GgmlRows(c.w, 0, outputs, values.data(), inputs);
    MatMul(c.w, c.Rows(0, rows), 0, c.w.panels(), {y.data(), rows, outputs, outputs});
    for (size_t r = 0; r < rows; ++r) {
      for (size_t n = 0; n < outputs; ++n) {
        double sum = 0, size = 0;
        for (size_t k = 0; k < inputs; ++k) {
          const double term = double{c.x[r * inputs + k]} * values[n * inputs + k];
          sum += term;
          size += std::abs(term);
        }
        ASSERT_NEAR(y[r * outputs + n], sum, 2e-6 * size) << static_cast<int>(format);
      }
    }
  }
}

TEST_P(GgmlTilesTest, OneRowIsTheBitsOfMany) {
  for (const GgmlBlock format : kFormats) {
    const size_t rows = 70, outputs = 70, inputs = 2304;
    const Case c(format, outputs, inputs, rows);
    std::vector<float> many(rows * outputs), one(outputs);
    MatMul(c.w, c.Rows(0, rows), 0, c.w.panels(), {many.data(), rows, outputs, outputs});
    for (size_t r = 0; r < rows; ++r) {
      for (size_t panel = 0; panel < c.w.panels(); ++panel) {
        MatMul(c.w, c.Rows(r, 1), panel, panel + 1, {one.data(), 1, outputs, outputs});
      }
      ASSERT_EQ(std::memcmp(one.data(), many.data() + r * outputs, outputs * sizeof(float)), 0);
    }
  }
}

LINNET_EACH_ISA(GgmlTilesTest);

}  // namespace
}  // namespace linnet
