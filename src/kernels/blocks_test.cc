#include "kernels/blocks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "kernels/each_isa.h"
#include "kernels/matmul.h"
#include "tensor/half.h"

namespace linnet {
namespace {

constexpr size_t kCols = 64 * 256;

double RmsError(const std::vector<float>& a, const std::vector<float>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += std::pow(double{a[i]} - double{b[i]}, 2);
  return std::sqrt(sum / double(a.size()));
}

std::vector<float> RoundTrip(DType dtype, const std::vector<float>& values, size_t cols) {
  const size_t rows = values.size() / cols;
  std::vector<std::byte> packed(PackedBytes(dtype, rows, cols));
  std::vector<float> out(values.size());
  for (size_t row = 0; row < rows; row += kPanelRows) {
    const size_t count = std::min(kPanelRows, rows - row);
    std::byte* panel = packed.data() + row / kPanelRows * PanelBytes(dtype, cols);
    PackPanel(dtype, values.data() + row * cols, cols, count, cols, panel);
    UnpackPanel(dtype, panel, count, cols, out.data() + row * cols, cols);
  }
  return out;
}

double BitsPerWeight(DType dtype) {
  return 8.0 * double(PackedBytes(dtype, kPanelRows, kCols)) / double(kPanelRows * kCols);
}

// llama.cpp's Q8_0: blocks of 32, d = largest / 127 as f16, 8.5 bits.
void RoundQ8_0(float* x) {
  float largest = 0;
  for (size_t i = 0; i < 32; ++i) largest = std::max(largest, std::abs(x[i]));
  const float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
  for (size_t i = 0; i < 32; ++i) x[i] = std::round(x[i] * inverse) * F16ToF32(F32ToF16(d));
}

// llama.cpp's Q4_0: blocks of 32, d = the weight of largest magnitude / -8 as f16, 4.5 bits.
void RoundQ4_0(float* x) {
  const float largest =
      *std::max_element(x, x + 32, [](float a, float b) { return std::abs(a) < std::abs(b); });
  const float d = largest / -8, inverse = d != 0 ? 1 / d : 0;
  for (size_t i = 0; i < 32; ++i) {
    const float code = std::min(15.0f, std::floor(x[i] * inverse + 8.5f));
    x[i] = (code - 8) * F16ToF32(F32ToF16(d));
  }
}

class BlocksTest : public EachIsa {};

TEST_P(BlocksTest, LoseNoMoreThanLlamaCppAtEqualBits) {
  const auto values = Normal(kPanelRows * kCols);
  auto q8 = values, q4 = values;
  for (size_t i = 0; i < values.size(); i += 32) RoundQ8_0(&q8[i]), RoundQ4_0(&q4[i]);
  const auto lost = [&](const std::vector<float>& rounded, double bits) {
    return RmsError(values, rounded) * std::exp2(bits);
  };
  const double int8 = lost(RoundTrip(DType::kI8, values, kCols), BitsPerWeight(DType::kI8));
  const double nf4 = lost(RoundTrip(DType::kNF4, values, kCols), BitsPerWeight(DType::kNF4));
  EXPECT_LE(int8, lost(q8, 8.5));
  EXPECT_LE(nf4, lost(q4, 4.5));
  RecordProperty("int8", std::to_string(int8 / lost(q8, 8.5)));
  RecordProperty("nf4", std::to_string(nf4 / lost(q4, 4.5)));
  EXPECT_EQ(BitsPerWeight(DType::kI8), 8.25);
  EXPECT_EQ(BitsPerWeight(DType::kNF4), 4.25);
}

// Values that int8 can represent are exact: zeros, and multiples of a step that f16 can hold.
TEST_P(BlocksTest, KeepZerosAndWholeSteps) {
  std::vector<float> values(2 * 130);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i % 130 % 64) * 2 - 63;
  for (size_t i = 0; i < values.size(); i += 64) values[i] = 127;
  values[130 + 128] = 0, values[130 + 129] = 0;
  EXPECT_TRUE(BitEqual(RoundTrip(DType::kI8, values, 130), values));
  std::vector<float> codes(128);
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = kNF4[i % 16] * 0.25f;
  EXPECT_TRUE(BitEqual(RoundTrip(DType::kNF4, codes, 128), codes));
}

TEST_P(BlocksTest, HoldWeightsOfAnySize) {
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    for (const float scale : {1e-30f, 1e-7f, 1e-6f, 1e-4f, 1.0f, 1e4f}) {
      const auto values = Normal(64 * 64, scale);
      const double error = RmsError(values, RoundTrip(dtype, values, 64));
      // Rounding of f16's subnormal scales may add half a step.
      EXPECT_LE(error, (dtype == DType::kI8 ? 0.01 : 0.1) * double{scale} + 0x1p-24)
          << Name(dtype) << " " << scale;
    }
  }
}

// The whole block becomes NaN, so the overflow is visible.
TEST_P(BlocksTest, SayWhereAWeightCannotBeHeld) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    for (const float bad : {infinity, -infinity, std::nanf(""), 1e5f}) {
      std::vector<float> values(3 * 128, 1.0f);
      values[128 + 70] = bad;
      const auto out = RoundTrip(dtype, values, 128);
      for (size_t i = 0; i < out.size(); ++i) {
        EXPECT_EQ(std::isnan(out[i]), i >= 128 + 64 && i < 2 * 128) << Name(dtype) << " " << i;
      }
    }
  }
}

// For every form of the activations.
TEST_P(BlocksTest, ProductsPassNaNOn) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    const auto values = Normal(64 * 130);
    std::vector<std::byte> panel(PanelBytes(dtype, 130) + 64);
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<uintptr_t>(panel.data()) + 63) / 64 * 64);
    PackPanel(dtype, values.data(), 130, 64, 130, aligned);
    const Activation form = ActivationFor(dtype, false);
    for (const size_t bad : {0u, 63u, 64u, 129u}) {
      for (const float value : {infinity, std::nanf("")}) {
        auto x = Normal(130);
        x[bad] = value;
        alignas(64) std::byte prepared[1024];
        ASSERT_LE(ActivationBytes(form, 130), sizeof(prepared));
        Activations a{form, reinterpret_cast<const std::byte*>(x.data()), 1, 130 * sizeof(float)};
        if (form != Activation::kF32) {
          PrepareActivations(form, {x.data(), 1, 130, 130}, prepared);
          a.data = prepared;
        }
        std::vector<float> y(64);
        MatMul({.dtype = dtype, .rows = 64, .cols = 130, .data = aligned}, a, 0, 1,
               {y.data(), 1, 64, 64});
        for (const float sum : y) EXPECT_FALSE(std::isfinite(sum));
      }
    }
  }
}

LINNET_EACH_ISA(BlocksTest);

}  // namespace
}  // namespace linnet
