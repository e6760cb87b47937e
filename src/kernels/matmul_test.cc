#include "kernels/matmul.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <new>
#include <span>
#include <tuple>

#include "kernels/blocks.h"
#include "kernels/each_isa.h"
#include "kernels/int8_rows.h"
#include "tensor/half.h"

namespace linnet {
namespace {

constexpr DType kFormats[] = {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4};

// 64-byte aligned and of the exact size, so that a sanitizer detects any access past the end.
class Bytes {
 public:
  explicit Bytes(size_t size)
      : size_(size), data_(static_cast<std::byte*>(::operator new(size, std::align_val_t(64)))) {}
  ~Bytes() { ::operator delete(data_, std::align_val_t(64)); }
  Bytes(Bytes&& other) noexcept : size_(other.size_), data_(std::exchange(other.data_, nullptr)) {}
  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  size_t size_;
  std::byte* data_;
};

float Rounded(DType dtype, float x) {
  if (dtype == DType::kF16) return F16ToF32(F32ToF16(x));
  if (dtype == DType::kBF16) return BF16ToF32(F32ToBF16(x));
  return x;
}

// 64 weights of an output, or fewer at the end.
void RoundBlock(DType dtype, float* x, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; ++i) largest = std::max(largest, std::abs(x[i]));
  const float scale = Rounded(DType::kF16, largest);
  const float inverse = scale > 0 ? (dtype == DType::kI8 ? 127.0f : 1.0f) / scale : 0.0f;
  for (size_t i = 0; i < count; ++i) {
    const float scaled = x[i] * inverse;
    if (dtype == DType::kI8) {
      const float q = std::clamp(std::nearbyint(scaled), -127.0f, 127.0f) + 0.0f;  // not -0
      x[i] = q * (scale * (1.0f / 127));
    } else {
      const auto nearest = std::min_element(kNF4, kNF4 + 16, [&](float a, float b) {
        return std::abs(scaled - a) < std::abs(scaled - b);
      });
      x[i] = *nearest * scale;
    }
  }
}

// The values of a matrix after rounding to a format.
std::vector<float> Rounded(DType dtype, std::vector<float> values, size_t cols) {
  for (size_t i = 0; i < values.size(); i += cols) {
    if (!HasBlocks(dtype)) {
      for (size_t k = i; k < i + cols; ++k) values[k] = Rounded(dtype, values[k]);
      continue;
    }
    for (size_t k = 0; k < cols; k += kBlockInputs) {
      RoundBlock(dtype, values.data() + i + k, std::min(kBlockInputs, cols - k));
    }
  }
  return values;
}

// The values of the weights that a product with this form of activations uses.
std::vector<float> Seen(DType dtype, Activation form, const std::vector<float>& values,
                        size_t cols) {
  auto out = Rounded(dtype, values, cols);
  if (form != Activation::kI8 || dtype != DType::kNF4) return out;
  for (size_t i = 0; i < out.size(); i += cols) {
    for (size_t k = 0; k < cols; k += kBlockInputs) {
      float* block = out.data() + i + k;
      const size_t count = std::min(kBlockInputs, cols - k);
      const auto larger = [](float a, float b) { return std::abs(a) < std::abs(b); };
      const float scale = std::abs(*std::max_element(block, block + count, larger));
      for (float& x : std::span(block, count)) x = std::round(x / scale * 127) / 127 * scale;
    }
  }
  return out;
}

// The same for the activations.
std::vector<float> Seen(Activation form, std::vector<float> x, size_t cols) {
  for (size_t i = 0; i < x.size(); i += cols) {
    for (size_t k = 0; k < cols && form == Activation::kI8; k += kBlockInputs) {
      const std::span<float> block(x.data() + i + k, std::min(kBlockInputs, cols - k));
      float largest = 0;
      for (const float value : block) largest = std::max(largest, std::abs(value));
      for (float& value : block) value = std::nearbyint(value * (127 / largest)) * (largest / 127);
    }
  }
  return form == Activation::kBF16 ? Rounded(DType::kBF16, x, cols) : x;
}

const char* FormName(Activation form) {
  return form == Activation::kF32 ? "f32" : form == Activation::kBF16 ? "bf16" : "int8";
}

struct Packed {
  Packed(DType dtype, const std::vector<float>& values, size_t rows, size_t cols)
      : bytes(PackedBytes(dtype, rows, cols)), weight{dtype, rows, cols, bytes.data()} {
    for (size_t panel = 0; panel < weight.panels(); ++panel) {
      const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, rows - begin);
      PackPanel(dtype, values.data() + begin * cols, cols, count, cols,
                bytes.data() + panel * PanelBytes(dtype, cols));
    }
  }
  Bytes bytes;
  Weight weight;
};

struct Prepared {
  Prepared(Activation form, Mat<const float> x)
      : bytes(form == Activation::kF32 ? 0 : ActivationBytes(form, x.cols) * x.rows),
        view{form, reinterpret_cast<const std::byte*>(x.data), x.rows, x.stride * sizeof(float)} {
    if (form == Activation::kF32) return;
    PrepareActivations(form, x, bytes.data());
    view.data = bytes.data();
    view.stride = ActivationBytes(form, x.cols);
  }
  Activations Rows(size_t begin, size_t count) const {
    return {view.form, view.data + begin * view.stride, count, view.stride};
  }
  Bytes bytes;
  Activations view;
};

struct Shape {
  size_t rows, outputs, inputs;
};

// Tails everywhere: outputs that do not fill a panel, odd inputs, splits of the blocks along inputs
// and rows.
constexpr Shape kShapes[] = {{1, 1, 1},    {2, 63, 2},    {3, 64, 3},     {5, 65, 33},
                             {7, 320, 31}, {12, 128, 64}, {13, 77, 257},  {31, 130, 515},
                             {96, 64, 96}, {97, 70, 300}, {200, 129, 640}};

// Sums longer than any kernel's block, ending inside its splits and blocks.
constexpr Shape kLongShapes[] = {{5, 70, 4163}, {37, 130, 4500}, {18, 63, 6213}};

class MatMulTest : public EachIsa {
 protected:
  // y with a wide stride; only [rows, outputs] may change.
  struct Output {
    Output(size_t rows, size_t outputs)
        : cols(outputs), stride(outputs + 5), values(rows * stride, kUntouched) {}
    Mat<float> Rows(size_t begin, size_t count) {
      return {values.data() + begin * stride, count, cols, stride};
    }
    bool MarginsUntouched() const {
      for (size_t i = 0; i < values.size(); ++i) {
        if (i % stride >= cols && values[i] != kUntouched) return false;
      }
      return true;
    }
    static constexpr float kUntouched = 12345.0f;
    size_t cols, stride;
    std::vector<float> values;
  };

  void ExpectTheSameBits(Shape s, DType dtype, Activation form) {
    const auto values = Normal(s.outputs * s.inputs), x = Normal(s.rows * s.inputs);
    const Packed w(dtype, values, s.outputs, s.inputs);
    const Prepared a(form, {x.data(), s.rows, s.inputs, s.inputs});
    const size_t panels = w.weight.panels();
    Output whole(s.rows, s.outputs), single(s.rows, s.outputs), cut(s.rows, s.outputs);
    MatMul(w.weight, a.view, 0, panels, whole.Rows(0, s.rows));
    for (size_t row = 0; row < s.rows; ++row) {
      MatMul(w.weight, a.Rows(row, 1), 0, panels, single.Rows(row, 1));
    }
    for (size_t row = 0, step = 1; row < s.rows; row += step, step += 2) {
      const size_t count = std::min(step, s.rows - row);
      for (size_t panel = panels; panel-- > 0;) {
        MatMul(w.weight, a.Rows(row, count), panel, panel + 1, cut.Rows(row, count));
      }
    }
    EXPECT_TRUE(BitEqual(whole.values, single.values));
    EXPECT_TRUE(BitEqual(whole.values, cut.values));
  }

  template <class F>
  void EachForm(const F& f, std::span<const Shape> shapes = kShapes) {
    for (const Shape& shape : shapes) {
      for (const DType dtype : kFormats) {
        for (const Activation form : {Activation::kF32, Activation::kBF16, Activation::kI8}) {
          if (!Supports(dtype, form)) continue;
          SCOPED_TRACE(testing::Message()
                       << Name(dtype) << " as " << FormName(form) << " " << shape.rows << "x"
                       << shape.outputs << "x" << shape.inputs);
          f(shape, dtype, form);
        }
      }
    }
  }
};

TEST_P(MatMulTest, IsTheSumOfProducts) {
  EachForm([&](Shape s, DType dtype, Activation form) {
    const auto values = Normal(s.outputs * s.inputs), x = Normal(s.rows * s.inputs);
    const auto weights = Seen(dtype, form, values, s.inputs), inputs = Seen(form, x, s.inputs);
    const Packed w(dtype, values, s.outputs, s.inputs);
    const Prepared a(form, {x.data(), s.rows, s.inputs, s.inputs});
    Output y(s.rows, s.outputs);
    MatMul(w.weight, a.view, 0, w.weight.panels(), y.Rows(0, s.rows));
    EXPECT_TRUE(y.MarginsUntouched());
    for (size_t row = 0; row < s.rows; ++row) {
      for (size_t n = 0; n < s.outputs; ++n) {
        double sum = 0, size = 0;
        for (size_t k = 0; k < s.inputs; ++k) {
          const double product =
              double{inputs[row * s.inputs + k]} * double{weights[n * s.inputs + k]};
          sum += product;
          size += product * product;
        }
        ASSERT_NEAR(y.values[row * y.stride + n], sum,
                    1e-6 * (1 + std::sqrt(size * double(s.inputs)) * 0.25))
            << row << " " << n;
      }
    }
  });
}

// A weight of an int8 or nf4 matrix in steps of 1/127, as products with int8 rows take it.
int32_t Step(const Weight& w, const std::byte* block, size_t output, size_t input) {
  if (w.dtype == DType::kI8) {
    return std::to_integer<int32_t>(block[input / 4 * kQuadBytes + output * 4 + input % 4]) - 128;
  }
  const auto pair =
      std::to_integer<uint32_t>(block[input / 8 * kQuadBytes + output * 4 + input % 4]);
  return NF4Byte(input % 8 < 4 ? pair & 15 : pair >> 4) - 128;
}

// So the levels agree: the products of a block are summed as integers, and blocks in order.
TEST_P(MatMulTest, Int8ProductsHaveTheBitsOfTheirFormula) {
  if (!Supports(DType::kI8, Activation::kI8)) GTEST_SKIP() << "in f32 at this level";
  for (const DType dtype : {DType::kI8, DType::kNF4}) {
    for (const size_t rows : {1, 2, 3, 4, 5, 8, 24, 25, 33}) {
      SCOPED_TRACE(testing::Message() << Name(dtype) << " " << rows);
      constexpr size_t kOutputs = 130, kInputs = 333;
      const auto values = Normal(kOutputs * kInputs), x = Normal(rows * kInputs);
      const Packed w(dtype, values, kOutputs, kInputs);
      const Prepared a(Activation::kI8, {x.data(), rows, kInputs, kInputs});
      Output y(rows, kOutputs);
      MatMul(w.weight, a.view, 0, w.weight.panels(), y.Rows(0, rows));
      for (size_t row = 0; row < rows; ++row) {
        const std::byte* q = a.view.data + row * a.view.stride;
        const Int8Block* scales = Int8Blocks(q, kInputs);
        for (size_t n = 0; n < kOutputs; ++n) {
          const std::byte* block = w.weight.data + n / kPanelRows * PanelBytes(dtype, kInputs);
          float sum = 0;
          for (size_t b = 0; b < Blocks(kInputs); ++b, block += BlockBytes(dtype)) {
            int32_t dot = 0;
            for (size_t k = 0; k < kBlockInputs; ++k) {
              dot += Step(w.weight, block, n % kPanelRows, k) *
                     static_cast<int8_t>(q[b * kBlockInputs + k]);
            }
            uint16_t half = 0;
            std::memcpy(&half, block + BlockWeightBytes(dtype) + n % kPanelRows * sizeof half,
                        sizeof half);
            sum = std::fma(static_cast<float>(dot), F16ToF32(half) * scales[b].scale, sum);
          }
          ASSERT_EQ(y.values[row * y.stride + n], sum) << row << " " << n;
        }
      }
    }
  }
}

// Identical bits: one row, many rows, any rows, any panels.
TEST_P(MatMulTest, BitsDoNotDependOnTheCall) {
  EachForm([&](Shape s, DType dtype, Activation form) { ExpectTheSameBits(s, dtype, form); });
}

TEST_P(MatMulTest, BitsOfLongSumsDoNotDependOnTheCall) {
  EachForm([&](Shape s, DType dtype, Activation form) { ExpectTheSameBits(s, dtype, form); },
           kLongShapes);
}

// Also where sums vanish, overflow or are NaN: the vector code for few rows matches the tile unit.
TEST_P(MatMulTest, BitsOfExtremesDoNotDependOnTheCall) {
  const Shape s{40, 64, 180};
  for (const float size : {1e-38f, 1e-30f, 1e-20f, 1e19f, 3e38f}) {
    auto values = Normal(s.outputs * s.inputs), x = Normal(s.rows * s.inputs);
    for (float& value : values) value = std::clamp(value * size, -3e38f, 3e38f);
    for (size_t i = 0; i < x.size(); i += 3) x[i] *= std::min(1 / size, 1e19f);
    if (size > 1e38f) {
      values[17] = std::numeric_limits<float>::infinity();
      values[1000] = std::numeric_limits<float>::quiet_NaN();
      x[5 * s.inputs] = -std::numeric_limits<float>::infinity();
    }
    const Packed w(DType::kBF16, values, s.outputs, s.inputs);
    const Activation form =
        Supports(DType::kBF16, Activation::kBF16) ? Activation::kBF16 : Activation::kF32;
    const Prepared a(form, {x.data(), s.rows, s.inputs, s.inputs});
    Output whole(s.rows, s.outputs), cut(s.rows, s.outputs);
    MatMul(w.weight, a.view, 0, 1, whole.Rows(0, s.rows));
    for (size_t row = 0, step = 1; row < s.rows; row += step, ++step) {
      const size_t count = std::min(step, s.rows - row);
      MatMul(w.weight, a.Rows(row, count), 0, 1, cut.Rows(row, count));
    }
    for (std::vector<float>* y : {&whole.values, &cut.values}) {
      // All NaNs are equal here.
      for (float& value : *y) value = std::isnan(value) ? -12345.0f : value;
    }
    EXPECT_TRUE(BitEqual(whole.values, cut.values)) << size;
  }
}

// Inputs with few and many zeros, single and in groups; for bf16 only where the weights are finite.
TEST_P(MatMulTest, BitsOfOneRowDoNotShowItsZeros) {
  for (const Shape& s : {Shape{12, 128, 64}, Shape{12, 192, 130}, Shape{12, 256, 1024}}) {
    for (const DType dtype : {DType::kBF16, DType::kI8, DType::kNF4}) {
      for (const bool infinite : {false, true}) {
        if (infinite && dtype != DType::kBF16) continue;
        auto values = Normal(s.outputs * s.inputs), x = Normal(s.rows * s.inputs);
        for (size_t row = 0; row < s.rows; ++row) {
          // Row 0 has no zeros, row 11 only zeros; odd rows have them in runs of 16.
          for (size_t i = 0; i < s.inputs; ++i) {
            const size_t place = row % 2 == 0 ? i : i / 16;
            const uint32_t mixed = static_cast<uint32_t>(place * 16 + row) * 2654435761u >> 16;
            if (row == 11 || mixed % 100 < 10 * row) x[row * s.inputs + i] = 0;
          }
        }
        if (infinite) values[s.inputs + 3] = std::numeric_limits<float>::infinity();
        const Activation form = ActivationFor(dtype, false);
        const Packed w(dtype, values, s.outputs, s.inputs);
        const Prepared a(form, {x.data(), s.rows, s.inputs, s.inputs});
        Weight weight = w.weight;
        if (dtype == DType::kBF16) {
          weight.finite = IsFiniteBF16(weight.data, PackedBytes(dtype, s.outputs, s.inputs));
          EXPECT_EQ(weight.finite, !infinite);
        }
        Output whole(s.rows, s.outputs), single(s.rows, s.outputs);
        MatMul(weight, a.view, 0, weight.panels(), whole.Rows(0, s.rows));
        for (size_t row = 0; row < s.rows; ++row) {
          MatMul(weight, a.Rows(row, 1), 0, weight.panels(), single.Rows(row, 1));
        }
        for (std::vector<float>* y : {&whole.values, &single.values}) {
          for (float& value : *y) value = std::isnan(value) ? -12345.0f : value;
        }
        EXPECT_TRUE(BitEqual(whole.values, single.values)) << Name(dtype) << " " << s.inputs;
      }
    }
  }
}

// A row gives the same product whether it is prepared alone or with others, at any stride.
TEST_P(MatMulTest, BitsDoNotDependOnTheStrideOfActivations) {
  const Shape s{9, 100, 131};
  for (const DType dtype : kFormats) {
    const auto values = Normal(s.outputs * s.inputs), x = Normal(s.rows * s.inputs);
    std::vector<float> wide(s.rows * (s.inputs + 9));
    for (size_t row = 0; row < s.rows; ++row) {
      std::copy_n(x.data() + row * s.inputs, s.inputs, wide.data() + row * (s.inputs + 9) + 3);
    }
    const Packed w(dtype, values, s.outputs, s.inputs);
    const Activation form = Supports(dtype, Activation::kBF16) ? Activation::kBF16
                            : Supports(dtype, Activation::kI8) ? Activation::kI8
                                                               : Activation::kF32;
    const Prepared a(form, {x.data(), s.rows, s.inputs, s.inputs});
    const Prepared b(form, {wide.data() + 3, s.rows, s.inputs, s.inputs + 9});
    Output one(s.rows, s.outputs), other(s.rows, s.outputs);
    MatMul(w.weight, a.view, 0, w.weight.panels(), one.Rows(0, s.rows));
    MatMul(w.weight, b.view, 0, w.weight.panels(), other.Rows(0, s.rows));
    EXPECT_TRUE(BitEqual(one.values, other.values)) << Name(dtype);
  }
}

TEST_P(MatMulTest, ExactProductsKeepF32Activations) {
  for (const DType dtype : kFormats) EXPECT_EQ(ActivationFor(dtype, true), Activation::kF32);
  for (const DType dtype : kFormats) EXPECT_TRUE(Supports(dtype, ActivationFor(dtype, false)));
  EXPECT_EQ(Supports(DType::kBF16, Activation::kBF16), GetParam() >= Isa::kAvx512Vnni);
  EXPECT_EQ(Supports(DType::kNF4, Activation::kI8), GetParam() >= Isa::kAvx2);
  EXPECT_FALSE(Supports(DType::kF16, Activation::kBF16));
  EXPECT_FALSE(Supports(DType::kBF16, Activation::kI8));
}

TEST_P(MatMulTest, UnpackedIsWhatWasPackedRounded) {
  for (const Shape& s : kShapes) {
    for (const DType dtype : kFormats) {
      const auto values = Normal(s.outputs * s.inputs, 3.0f);
      const Packed w(dtype, values, s.outputs, s.inputs);
      EXPECT_EQ(w.bytes.size() % 64, 0u);
      const size_t stride = s.inputs + 2;
      const auto rounded = Rounded(dtype, values, s.inputs);
      std::vector<float> expected(s.outputs * stride, 7.0f), found = expected;
      for (size_t row = 0; row < s.outputs; ++row) {
        for (size_t k = 0; k < s.inputs; ++k) {
          expected[row * stride + k] = rounded[row * s.inputs + k];
        }
      }
      for (size_t panel = 0; panel < w.weight.panels(); ++panel) {
        const size_t begin = panel * kPanelRows;
        UnpackPanel(dtype, w.bytes.data() + panel * PanelBytes(dtype, s.inputs),
                    std::min(kPanelRows, s.outputs - begin), s.inputs,
                    found.data() + begin * stride, stride);
      }
      EXPECT_TRUE(BitEqual(expected, found)) << Name(dtype) << s.outputs << "x" << s.inputs;
    }
  }
}

// Every level packs alike, so one packed file serves all levels.
TEST_P(MatMulTest, PackedBytesAreTheSameAtEveryLevel) {
  for (const Shape& s : kShapes) {
    for (const DType dtype : kFormats) {
      const auto values = Normal(s.outputs * s.inputs);
      const Packed here(dtype, values, s.outputs, s.inputs);
      ForceIsa(Isa::kPortable);
      const Packed there(dtype, values, s.outputs, s.inputs);
      ForceIsa(GetParam());
      EXPECT_EQ(std::memcmp(here.bytes.data(), there.bytes.data(), here.bytes.size()), 0);
    }
  }
}

LINNET_EACH_ISA(MatMulTest);

}  // namespace
}  // namespace linnet
