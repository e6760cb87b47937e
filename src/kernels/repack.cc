#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/repack.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/halves-inl.h"
#include "kernels/repack.h"
#include "kernels/tiles.h"
#include "kernels/transpose_four-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DU = hn::ScalableTag<uint32_t>;
constexpr size_t kLanes = hn::MaxLanes(D());

#if HWY_TARGET == HWY_SCALAR

// to[c][r] = from[r][c] of 32-bit values; strides count values.
void Transpose32(const float* from, size_t from_stride, size_t rows, size_t cols, float* to,
                 size_t to_stride) {
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      std::memcpy(to + c * to_stride + r, from + r * from_stride + c, sizeof(float));
    }
  }
}

// Pairs [k][n] of 64 outputs to pairs [n][k] of 64 inputs: both are [32][64] of two bf16.
void TransposePairs(const uint32_t* from, uint32_t* to) {
  for (size_t k = 0; k < kPanelRows; k += 2) {
    for (size_t n = 0; n < kPanelRows; n += 2) {
      const uint32_t a = from[k / 2 * kPanelRows + n], b = from[k / 2 * kPanelRows + n + 1];
      uint32_t* out = to + n / 2 * kPanelRows + k;
      out[0] = (a & 0xffffu) | b << 16;
      out[1] = a >> 16 | (b & 0xffff0000u);
    }
  }
}

#else

// to[c][r] = from[r][c] of 32-bit values; strides count values.
void Transpose32(const float* from, size_t from_stride, size_t rows, size_t cols, float* to,
                 size_t to_stride) {
  const size_t whole_rows = rows / 4 * 4, whole_cols = cols / kLanes * kLanes;
  for (size_t c = 0; c < whole_cols; c += kLanes) {
    for (size_t r = 0; r < whole_rows; r += 4) {
      TransposeFour(from + r * from_stride + c, from_stride, to + c * to_stride + r, to_stride);
    }
  }
  const auto one = [&](size_t r, size_t c) {
    std::memcpy(to + c * to_stride + r, from + r * from_stride + c, sizeof(float));
  };
  for (size_t r = whole_rows; r < rows; ++r) {
    for (size_t c = 0; c < whole_cols; ++c) one(r, c);
  }
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = whole_cols; c < cols; ++c) one(r, c);
  }
}

// Pairs [k][n] of 64 outputs to pairs [n][k] of 64 inputs: both are [32][64] of two bf16. Two by
// two bf16 are 64 bits, which are transposed internally and then moved whole.
void TransposePairs(const uint32_t* from, uint32_t* to) {
  const hn::ScalableTag<uint64_t> d;
  const hn::Repartition<uint8_t, decltype(d)> bytes;
  alignas(16) static constexpr uint8_t kTurn[16] = {0, 1, 4,  5,  2,  3,  6,  7,
                                                    8, 9, 12, 13, 10, 11, 14, 15};
  const auto turn = hn::LoadDup128(bytes, kTurn);
  const auto load = [&](const uint32_t* x) HWY_ATTR {
    const auto v = hn::LoadU(d, reinterpret_cast<const uint64_t*>(x));
    return hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(bytes, v), turn));
  };
  constexpr size_t kRow = kPanelRows / 2;  // 64 bits each
  auto* out = reinterpret_cast<uint64_t*>(to);
  for (size_t n = 0; n < kRow; n += hn::Lanes(d)) {
    for (size_t k = 0; k < kRow; k += 2) {
      const auto a = load(from + k * kPanelRows + 2 * n);
      const auto b = load(from + (k + 1) * kPanelRows + 2 * n);
      StoreBlocks(d, hn::InterleaveLower(d, a, b), out + n * kRow + k, 2 * kRow);
      StoreBlocks(d, hn::InterleaveUpper(d, a, b), out + (n + 1) * kRow + k, 2 * kRow);
    }
  }
}

#endif

// [columns] of two bf16: a[i] in the low half, b[i] in the high one. A null b is zeros.
void Pairs(const uint16_t* a, const uint16_t* b, size_t columns, uint32_t* to) {
  const DU d;
  const hn::Rebind<uint16_t, DU> half;
  size_t i = 0;
  for (; b != nullptr && i + kLanes <= columns; i += kLanes) {
    const auto low = hn::PromoteTo(d, hn::LoadU(half, a + i));
    const auto high = hn::PromoteTo(d, hn::LoadU(half, b + i));
    hn::StoreU(hn::Or(low, hn::ShiftLeft<16>(high)), d, to + i);
  }
  for (; i < columns; ++i) to[i] = a[i] | (b == nullptr ? 0u : uint32_t{b[i]} << 16);
}

// The same for f32 rows, rounded.
void RoundedPairs(const float* a, const float* b, size_t columns, uint32_t* to) {
  const D d;
  const DU du;
  for (size_t i = 0; i < columns; i += kLanes) {
    const auto low = hn::ShiftRight<16>(BF16InHigh(d, hn::LoadU(d, a + i)));
    const auto high = hn::And(BF16InHigh(d, hn::LoadU(d, b + i)), hn::Set(du, 0xffff0000u));
    hn::StoreU(hn::Or(low, high), du, to + i);
  }
}

const uint16_t* HalfRow(const Activations& x, size_t row) {
  return reinterpret_cast<const uint16_t*>(x.data + row * x.stride);
}

// Rows [row, row + 2) of x from column `begin` on, as pairs.
void RowPairs(const Activations& x, size_t row, size_t begin, size_t columns, uint32_t* to) {
  const uint16_t* second = row + 1 < x.rows ? HalfRow(x, row + 1) + begin : nullptr;
  Pairs(HalfRow(x, row) + begin, second, columns, to);
}

// Rows of a block are far apart, where the hardware prefetcher does not help.
constexpr size_t kAheadRows = 24;

HWY_INLINE void PrefetchRow(const Activations& x, size_t row, size_t begin, size_t bytes) {
  const std::byte* from = x.data + row * x.stride + begin;
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + i, 0, 3);
}

void Columns(const Activations& x, size_t begin, size_t columns, std::byte* panel) {
  auto* to = reinterpret_cast<uint32_t*>(panel);
  const size_t step = x.form == Activation::kBF16 ? 2 : 1, size = 4 / step;
  for (size_t row = 0; row < x.rows; row += step, to += kPanelRows) {
    for (size_t i = 0; i < step; ++i) {
      PrefetchRow(x, row + kAheadRows + i, begin * size, columns * size);
    }
    if (step == 2) {
      RowPairs(x, row, begin, columns, to);
    } else {
      std::memcpy(to, x.data + row * x.stride + begin * sizeof(float), columns * sizeof(float));
    }
    std::fill(to + columns, to + kPanelRows, 0u);
  }
}

// Rows of a block of up to 64 columns of pairs that are transposed at a time.
constexpr size_t kTurned = 32;

void Transposed(const Activations& x, size_t begin, size_t columns, std::byte* out, size_t stride) {
  const bool halves = x.form == Activation::kBF16;
  const size_t inputs = halves ? (x.rows + 1) / 2 : x.rows;  // of 32 bits
  const size_t padded = (inputs + 15) / 16 * 16;
  auto* to = reinterpret_cast<float*>(out);
  const size_t to_stride = stride / sizeof(float);
  HWY_ALIGN uint32_t pairs[kTurned * kPanelRows];
  for (size_t c = 0; c < columns; c += kPanelRows) {
    const size_t count = std::min(kPanelRows, columns - c);
    float* rows = to + c * to_stride;
    for (size_t i = 0; i < inputs; i += kTurned) {
      const size_t some = std::min(kTurned, inputs - i);
      const float* from = reinterpret_cast<const float*>(pairs);
      size_t from_stride = kPanelRows;
      if (halves) {
        for (size_t j = 0; j < some; ++j) {
          const size_t row = 2 * (i + j) + kAheadRows;
          PrefetchRow(x, row, 2 * (begin + c), 2 * count);
          PrefetchRow(x, row + 1, 2 * (begin + c), 2 * count);
          RowPairs(x, 2 * (i + j), begin + c, count, pairs + j * kPanelRows);
        }
      } else {
        from = reinterpret_cast<const float*>(x.data + i * x.stride) + begin + c;
        from_stride = x.stride / sizeof(float);
      }
      Transpose32(from, from_stride, some, count, rows + i, to_stride);
    }
    for (size_t row = 0; row < count && padded > inputs; ++row) {
      std::fill(rows + row * to_stride + inputs, rows + row * to_stride + padded, 0.0f);
    }
  }
}

void Rows(DType dtype, Mat<const float> x, size_t panel_bytes, std::byte* out) {
  HWY_ALIGN float block[2 * kPanelRows];
  for (size_t c = 0; c < x.cols; c += kPanelRows, out += panel_bytes) {
    const size_t count = std::min(kPanelRows, x.cols - c);
    std::fill_n(block, 2 * kPanelRows, 0.0f);
    for (size_t row = 0; row < x.rows; ++row) {
      std::memcpy(block + row * kPanelRows, x.Row(row) + c, count * sizeof(float));
    }
    if (dtype == DType::kF32) {
      std::memcpy(out, block, x.rows * kPanelRows * sizeof(float));
    } else {
      RoundedPairs(block, block + kPanelRows, kPanelRows, reinterpret_cast<uint32_t*>(out));
    }
  }
}

// One block of 64 inputs of a panel to inputs [0, rows) of a panel of the transposed weight.
void TransposeBlock(DType from, const std::byte* block, size_t inputs, size_t rows, DType to,
                    std::byte* out) {
  if (from == DType::kBF16 && to == DType::kBF16 && inputs == kPanelRows && rows == kPanelRows) {
    return TransposePairs(reinterpret_cast<const uint32_t*>(block),
                          reinterpret_cast<uint32_t*>(out));
  }
  HWY_ALIGN float decoded[kPanelRows * kPanelRows], turned[kPanelRows * kPanelRows];
  const float* values = reinterpret_cast<const float*>(block);  // [inputs][64]
  if (from != DType::kF32) {
    ExactTiles(from).unpack(block, inputs, reinterpret_cast<std::byte*>(decoded));
    values = decoded;
  }
  float* target = to == DType::kF32 ? reinterpret_cast<float*>(out) : turned;
  if (inputs < kPanelRows || rows % 2 != 0) std::fill_n(target, rows * kPanelRows, 0.0f);
  Transpose32(values, kPanelRows, inputs, rows, target, kPanelRows);
  if (to == DType::kF32) return;
  if (rows % 2 != 0) std::fill_n(turned + rows * kPanelRows, kPanelRows, 0.0f);
  auto* pairs = reinterpret_cast<uint32_t*>(out);
  for (size_t n = 0; n < rows; n += 2, pairs += kPanelRows) {
    RoundedPairs(turned + n * kPanelRows, turned + (n + 1) * kPanelRows, kPanelRows, pairs);
  }
}

void Sums(const float* a, const float* b, bool add, Mat<float> y) {
  const D d;
  const size_t whole = y.cols / kLanes * kLanes;
  for (size_t row = 0; row < y.rows; ++row) {
    float* out = y.Row(row);
    const float* first = a + row * kPanelRows;
    const float* second = b == nullptr ? nullptr : b + row * kPanelRows;
    for (size_t i = 0; i < whole; i += kLanes) {
      auto sum = hn::Load(d, first + i);
      if (second != nullptr) sum = hn::Add(sum, hn::Load(d, second + i));
      if (add) sum = hn::Add(hn::LoadU(d, out + i), sum);
      hn::StoreU(sum, d, out + i);
    }
    for (size_t i = whole; i < y.cols; ++i) {
      const float sum = second == nullptr ? first[i] : first[i] + second[i];
      out[i] = add ? out[i] + sum : sum;
    }
  }
}

void TransposeOf(const Weight& w, size_t panel, DType dtype, std::byte* out) {
  const size_t begin = panel * kPanelRows, rows = std::min(kPanelRows, w.rows - begin);
  const std::byte* from = w.data + panel * PanelBytes(w.dtype, w.cols);
  const size_t block = PanelBytes(w.dtype, kPanelRows), panel_bytes = PanelBytes(dtype, w.rows);
  out += PanelBytes(dtype, begin);
  for (size_t k = 0; k < w.cols; k += kPanelRows, from += block, out += panel_bytes) {
    TransposeBlock(w.dtype, from, std::min(kPanelRows, w.cols - k), rows, dtype, out);
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Columns);
HWY_EXPORT(Transposed);
HWY_EXPORT(TransposeOf);
HWY_EXPORT(Rows);
HWY_EXPORT(Sums);

void PackColumns(const Activations& x, size_t begin, size_t columns, std::byte* panel) noexcept {
  HWY_DYNAMIC_DISPATCH(Columns)(x, begin, columns, panel);
}

void TransposeColumns(const Activations& x, size_t begin, size_t columns, std::byte* out,
                      size_t stride) noexcept {
  HWY_DYNAMIC_DISPATCH(Transposed)(x, begin, columns, out, stride);
}

void PackTransposed(const Weight& w, size_t panel, DType dtype, std::byte* out) noexcept {
  HWY_DYNAMIC_DISPATCH(TransposeOf)(w, panel, dtype, out);
}

void PackRows(DType dtype, Mat<const float> x, size_t panel_bytes, std::byte* out) noexcept {
  HWY_DYNAMIC_DISPATCH(Rows)(dtype, x, panel_bytes, out);
}

void AddSums(const float* a, const float* b, bool add, Mat<float> y) noexcept {
  HWY_DYNAMIC_DISPATCH(Sums)(a, b, add, y);
}

}  // namespace linnet
#endif  // HWY_ONCE
