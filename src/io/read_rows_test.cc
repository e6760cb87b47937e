// ReadRows: every value of every type and layout, against one element at a time.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>

#include "io/tensor_view.h"
#include "tensor/half.h"

namespace linnet {
namespace {

template <class T>
TensorView View(const std::vector<T>& data, SourceType type, std::vector<size_t> shape,
                std::vector<size_t> strides = {}) {
  if (strides.empty()) strides = ContiguousStrides(shape);
  return {"t", type, shape, strides, reinterpret_cast<const std::byte*>(data.data()), nullptr};
}

void ExpectSameBits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  if (a.empty()) return;
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST(ReadRowsTest, EveryHalfIsExact) {
  std::vector<uint16_t> bits(65536);
  std::iota(bits.begin(), bits.end(), uint16_t{0});
  std::vector<float> f16, bf16;
  for (const uint16_t b : bits) {
    f16.push_back(F16ToF32(b));
    bf16.push_back(BF16ToF32(b));
  }
  ExpectSameBits(ReadAll(View(bits, SourceType::kF16, {256, 256})), f16);
  ExpectSameBits(ReadAll(View(bits, SourceType::kBF16, {65536})), bf16);
}

TEST(ReadRowsTest, DoublesRoundToNearest) {
  const std::vector<double> values = {1.0 + 0x1p-25, 1.0 + 0x1.8p-24, 1e300, -0.0};
  ExpectSameBits(ReadAll(View(values, SourceType::kF64, {4})),
                 {1.0f, 1.0f + 0x1p-23f, std::numeric_limits<float>::infinity(), -0.0f});
}

// OCP 8-bit Floating Point Specification, table 2: the largest, smallest and special values.
TEST(ReadRowsTest, EightBitFloatsFollowTheirTable) {
  const std::vector<uint8_t> e4m3 = {0x00, 0x01, 0x07, 0x08, 0x7e, 0xfe, 0x38};
  ExpectSameBits(ReadAll(View(e4m3, SourceType::kF8E4M3, {7})),
                 {0, 0x1p-9f, 0x1.cp-7f, 0x1p-6f, 448, -448, 1});
  const std::vector<uint8_t> e5m2 = {0x80, 0x01, 0x04, 0x7b, 0x3c, 0x7c};
  ExpectSameBits(ReadAll(View(e5m2, SourceType::kF8E5M2, {6})),
                 {-0.0f, 0x1p-16f, 0x1p-14f, 57344, 1, std::numeric_limits<float>::infinity()});
  const std::vector<uint8_t> nans = {0x7f, 0xff};
  for (const float value : ReadAll(View(nans, SourceType::kF8E4M3, {2}))) {
    EXPECT_TRUE(std::isnan(value));
  }
}

// Any order of dimensions, with gaps, in every element size; the oracle computes each offset.
TEST(ReadRowsTest, StridesAreFollowed) {
  std::mt19937 random(1);
  const auto pick = [&](size_t most) { return random() % most; };
  std::vector<float> f32(400'000);
  std::vector<double> f64(f32.size());
  std::vector<uint16_t> bf16(f32.size());
  for (size_t i = 0; i < f32.size(); ++i) {
    f64[i] = f32[i] = static_cast<float>(i % 251) - 125;
    bf16[i] = F32ToBF16(f32[i]);
  }
  for (int trial = 0; trial < 300; ++trial) {
    const size_t dims = pick(5);
    std::vector<size_t> order(dims), shape(dims), strides(dims);
    std::iota(order.begin(), order.end(), size_t{0});
    std::shuffle(order.begin(), order.end(), random);
    size_t stride = 1 + pick(2);
    for (const size_t d : order) {
      shape[d] = dims == 2 ? 1 + pick(300) : pick(12) == 0 ? 0 : 1 + pick(12);
      strides[d] = stride;
      stride *= std::max<size_t>(shape[d], 1) + (pick(3) == 0 ? 1 : 0);
    }
    if (stride > f32.size()) continue;
    const auto view = View(f32, SourceType::kF32, shape, strides);
    std::vector<float> expected;
    for (size_t n = 0; n < view.elements(); ++n) {
      size_t rest = n, offset = 0;
      for (size_t d = dims; d-- > 0; rest /= shape[d]) offset += rest % shape[d] * strides[d];
      expected.push_back(f32[offset]);
    }
    ExpectSameBits(ReadAll(view), expected);
    ExpectSameBits(ReadAll(View(f64, SourceType::kF64, shape, strides)), expected);
    ExpectSameBits(ReadAll(View(bf16, SourceType::kBF16, shape, strides)), expected);
    std::vector<float> copied(expected.size());
    CopyRows(view, 0, view.rows(), reinterpret_cast<std::byte*>(copied.data()));
    ExpectSameBits(copied, expected);
    if (view.rows() < 2 || view.cols() == 0) continue;
    // Some rows in the middle, alone, and the same through a slice.
    const size_t begin = pick(view.rows()), count = pick(view.rows() - begin + 1);
    std::vector<float> some(count * view.cols());
    ReadRows(view, begin, count, some.data());
    const auto first = expected.begin() + static_cast<ptrdiff_t>(begin * view.cols());
    const std::vector<float> rows(first, first + static_cast<ptrdiff_t>(some.size()));
    ExpectSameBits(some, rows);
    if (count != 0) ExpectSameBits(ReadAll(view.Slice(begin, count)), rows);
  }
}

TEST(ReadRowsTest, DataNeedNotBeAligned) {
  std::vector<std::byte> bytes(1 + 3 * sizeof(float));
  const float values[3] = {1, -2, 3.5f};
  std::memcpy(bytes.data() + 1, values, sizeof(values));
  TensorView view = View(bytes, SourceType::kF32, {3});
  view.data += 1;
  ExpectSameBits(ReadAll(view), {1, -2, 3.5f});
}

TEST(TensorViewTest, ViewsKeepToTheirData) {
  const std::vector<float> data = {0, 1, 2, 3, 4, 5};
  const auto view = View(data, SourceType::kF32, {1, 2, 3});
  EXPECT_EQ(view.Squeezed().shape, (std::vector<size_t>{2, 3}));
  EXPECT_TRUE(view.contiguous());
  const auto matrix = view.Index(0);
  EXPECT_EQ(matrix.shape, (std::vector<size_t>{2, 3}));
  EXPECT_FALSE(matrix.Transposed().contiguous());
  ExpectSameBits(ReadAll(matrix.Transposed()), {0, 3, 1, 4, 2, 5});
  ExpectSameBits(ReadAll(matrix.Index(1)), {3, 4, 5});
  const auto ones = View(data, SourceType::kF32, {1, 1, 1});
  EXPECT_EQ(ones.Squeezed().shape, (std::vector<size_t>{1}));
}

TEST(TensorViewTest, IntegersKeepTheirSignAndRange) {
  const std::vector<uint64_t> large = {1, uint64_t{1} << 63};
  EXPECT_THROW(ReadInts(View(large, SourceType::kU64, {2})), std::runtime_error);
  const std::vector<int16_t> small = {-5, 7};
  EXPECT_EQ(ReadInts(View(small, SourceType::kI16, {2})), (std::vector<int64_t>{-5, 7}));
  EXPECT_EQ(ReadInts(View(small, SourceType::kU16, {2})), (std::vector<int64_t>{65531, 7}));
  EXPECT_THROW(ReadInts(View(small, SourceType::kBF16, {2})), std::runtime_error);
}

}  // namespace
}  // namespace linnet
