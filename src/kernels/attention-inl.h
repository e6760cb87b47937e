// Small products of attention, each with one order of addition for any tile it is computed in.
#if defined(LINNET_KERNELS_ATTENTION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_ATTENTION_INL_H_
#undef LINNET_KERNELS_ATTENTION_INL_H_
#else
#define LINNET_KERNELS_ATTENTION_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/attention.h"
#include "kernels/halves-inl.h"
#include "kernels/map-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
inline constexpr size_t kFloatLanes = hn::MaxLanes(Floats());

// Rows are padded to whole vectors, in scratch to whole cache lines.
constexpr size_t PaddedFloats(size_t n) { return (n + 15) / 16 * 16; }

// As many sums as the registers hold beside the operands.
inline constexpr bool kManyRegisters = HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_NEON;
inline constexpr size_t kDotRows = kManyRegisters ? 6 : 3;
inline constexpr size_t kSumRows = 6, kSumVectors = kManyRegisters ? 4 : 2;

// Values of a row of type T, converted to f32.
HWY_INLINE hn::Vec<Floats> LoadValues(const float* x) { return hn::LoadU(Floats(), x); }
HWY_INLINE hn::Vec<Floats> LoadValues(const uint16_t* x) { return LoadF16(Floats(), x); }

// The first count < lanes values, then 0.
template <class T>
HWY_INLINE hn::Vec<Floats> LoadFirstValues(const T* x, size_t count) {
  HWY_ALIGN T lanes[kFloatLanes] = {};
  std::memcpy(lanes, x, count * sizeof(T));
  return LoadValues(lanes);
}

// x[0, n) as f32, padded with 0 to whole vectors.
template <class T>
HWY_INLINE void CopyPadded(const T* x, size_t n, float* to) {
  const Floats d;
  size_t i = 0;
  for (; i + kFloatLanes <= n; i += kFloatLanes) hn::StoreU(LoadValues(x + i), d, to + i);
  if (i < n) hn::StoreU(LoadFirstValues(x + i, n - i), d, to + i);
}

// Columns [column, column + n) of rows [begin, begin + count) as f32, each padded with 0 to whole
// vectors.
HWY_INLINE void CopyRows(const TokenRows& rows, size_t begin, size_t count, size_t column, size_t n,
                         float* to, size_t stride) {
  const std::byte* from = rows.data + begin * rows.stride_bytes + column * BytesOf(rows.type);
  for (size_t j = 0; j < count; ++j, from += rows.stride_bytes, to += stride) {
    if (rows.type == RowType::kF16) {
      CopyPadded(reinterpret_cast<const uint16_t*>(from), n, to);
    } else {
      CopyPadded(reinterpret_cast<const float*>(from), n, to);
    }
  }
}

template <class D>
HWY_INLINE void StoreFolded(D d, hn::Vec<D> v, float* to) {
  if constexpr (hn::MaxLanes(d) > 4) {
    const hn::Half<D> half;
    StoreFolded(half, hn::Add(hn::LowerHalf(half, v), hn::UpperHalf(half, v)), to);
  } else {
    hn::StoreU(v, d, to);
  }
}

// to[0..4) = the sums of the lanes of four vectors.
template <class V>
HWY_INLINE void StoreFourSums(V a, V b, V c, V e, float* to) {
  const Floats d;
  const hn::Repartition<uint64_t, Floats> pairs;
  const V ab = hn::Add(hn::InterleaveLower(d, a, b), hn::InterleaveUpper(d, a, b));
  const V ce = hn::Add(hn::InterleaveLower(d, c, e), hn::InterleaveUpper(d, c, e));
  const auto ab2 = hn::BitCast(pairs, ab), ce2 = hn::BitCast(pairs, ce);
  StoreFolded(d,
              hn::Add(hn::BitCast(d, hn::InterleaveLower(pairs, ab2, ce2)),
                      hn::BitCast(d, hn::InterleaveUpper(pairs, ab2, ce2))),
              to);
}

// to[r][i] = a[r] . b[i] for kRows rows and four b. Lane l adds the products of values l, l +
// lanes,
// ... in order; the lanes are added in a tree. Rows of f32 are padded with 0 to whole vectors.
template <size_t kRows>
HWY_INLINE void DotTile(const float* HWY_RESTRICT a, size_t a_stride, const float* HWY_RESTRICT b,
                        size_t b_stride, size_t n, float* HWY_RESTRICT to, size_t to_stride) {
  const Floats d;
  hn::Vec<Floats> sum[kRows][4];
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (size_t i = 0; i < 4; ++i) sum[r][i] = hn::Zero(d);
  }
  for (size_t k = 0; k < n; k += kFloatLanes) {
    hn::Vec<Floats> x[kRows];
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) x[r] = hn::LoadU(d, a + r * a_stride + k);
    HWY_UNROLL(8)
    for (size_t i = 0; i < 4; ++i) {
      const auto y = hn::LoadU(d, b + i * b_stride + k);
      HWY_UNROLL(8)
      for (size_t r = 0; r < kRows; ++r) sum[r][i] = hn::MulAdd(x[r], y, sum[r][i]);
    }
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    StoreFourSums(sum[r][0], sum[r][1], sum[r][2], sum[r][3], to + r * to_stride);
  }
}

// DotTile of any number of rows.
HWY_INLINE void DotRows(const float* a, size_t a_stride, size_t rows, const float* b,
                        size_t b_stride, size_t n, float* to, size_t to_stride) {
  size_t r = 0;
  for (; r + kDotRows <= rows; r += kDotRows) {
    DotTile<kDotRows>(a + r * a_stride, a_stride, b, b_stride, n, to + r * to_stride, to_stride);
  }
  for (; r + 2 <= rows; r += 2) {
    DotTile<2>(a + r * a_stride, a_stride, b, b_stride, n, to + r * to_stride, to_stride);
  }
  if (r < rows) {
    DotTile<1>(a + r * a_stride, a_stride, b, b_stride, n, to + r * to_stride, to_stride);
  }
}

// Prefetches into L2: rows are much farther ahead than L1 is large.
template <size_t kBytes>
HWY_INLINE void PrefetchBytes(const std::byte* x) {
  constexpr size_t kLineBytes = 64;
  HWY_UNROLL(8)
  for (size_t i = 0; i < kBytes; i += kLineBytes) __builtin_prefetch(x + i, 0, 2);
}

// The same of one row with four rows of type T; neither is padded. Prefetches as many bytes as it
// reads of b from `ahead` on, evenly, so that memory is never idle.
template <class T>
HWY_INLINE void DotFour(const float* HWY_RESTRICT a, const T* const (&b)[4], size_t n,
                        const std::byte* ahead, float* to) {
  const Floats d;
  hn::Vec<Floats> sum[4];
  HWY_UNROLL(8)
  for (size_t i = 0; i < 4; ++i) sum[i] = hn::Zero(d);
  size_t k = 0;
  for (; k + kFloatLanes <= n; k += kFloatLanes) {
    PrefetchBytes<4 * kFloatLanes * sizeof(T)>(ahead + 4 * k * sizeof(T));
    const auto x = hn::LoadU(d, a + k);
    HWY_UNROLL(8)
    for (size_t i = 0; i < 4; ++i) sum[i] = hn::MulAdd(x, LoadValues(b[i] + k), sum[i]);
  }
  if (k < n) {
    const auto x = LoadPartial(d, a + k, n - k, 0.0f);
    for (size_t i = 0; i < 4; ++i) {
      sum[i] = hn::MulAdd(x, LoadFirstValues(b[i] + k, n - k), sum[i]);
    }
  }
  StoreFourSums(sum[0], sum[1], sum[2], sum[3], to);
}

// Weights of SumTile: of row r and term j, w[r * row + j * term].
struct SumWeights {
  const float* w;
  size_t row, term;
};

// to[r][c] += sum over terms j, in order, of w(r, j) b[j][c], for kRows rows and kVectors vectors
// of columns.
template <size_t kRows, size_t kVectors>
HWY_INLINE void SumTile(const SumWeights& in, size_t terms, const float* HWY_RESTRICT b,
                        size_t b_stride, float* HWY_RESTRICT to, size_t to_stride) {
  const Floats d;
  hn::Vec<Floats> sum[kRows][kVectors];
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::LoadU(d, to + r * to_stride + v * kFloatLanes);
    }
  }
  for (size_t j = 0; j < terms; ++j) {
    hn::Vec<Floats> x[kVectors];
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) x[v] = hn::LoadU(d, b + j * b_stride + v * kFloatLanes);
    HWY_UNROLL(8)
    for (size_t r = 0; r < kRows; ++r) {
      const auto weight = hn::Set(d, in.w[r * in.row + j * in.term]);
      HWY_UNROLL(8)
      for (size_t v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(weight, x[v], sum[r][v]);
    }
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < kRows; ++r) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) {
      hn::StoreU(sum[r][v], d, to + r * to_stride + v * kFloatLanes);
    }
  }
}

// The same for `vectors` <= kSumVectors vectors.
template <size_t kRows>
HWY_INLINE void SumColumns(const SumWeights& in, size_t terms, const float* b, size_t b_stride,
                           size_t vectors, float* to, size_t to_stride) {
  if (vectors == kSumVectors)
    return SumTile<kRows, kSumVectors>(in, terms, b, b_stride, to, to_stride);
  for (size_t v = 0; v < vectors; ++v) {
    SumTile<kRows, 1>(in, terms, b + v * kFloatLanes, b_stride, to + v * kFloatLanes, to_stride);
  }
}

// The same for any number of rows and columns, in whole vectors.
HWY_INLINE void SumRowsOf(const SumWeights& in, size_t rows, size_t terms, const float* b,
                          size_t b_stride, size_t columns, float* to, size_t to_stride) {
  for (size_t c = 0; c < columns; c += kSumVectors * kFloatLanes) {
    const size_t vectors = std::min(kSumVectors, (columns - c + kFloatLanes - 1) / kFloatLanes);
    size_t r = 0;
    const auto at = [&](size_t row) { return SumWeights{in.w + row * in.row, in.row, in.term}; };
    for (; r + kSumRows <= rows; r += kSumRows) {
      SumColumns<kSumRows>(at(r), terms, b + c, b_stride, vectors, to + r * to_stride + c,
                           to_stride);
    }
    for (; r + 2 <= rows; r += 2) {
      SumColumns<2>(at(r), terms, b + c, b_stride, vectors, to + r * to_stride + c, to_stride);
    }
    if (r < rows) {
      SumColumns<1>(at(r), terms, b + c, b_stride, vectors, to + r * to_stride + c, to_stride);
    }
  }
}

// The score of a product q.k.
struct ScoreOf {
  float scale, cap, inverse_cap;
  explicit ScoreOf(const AttentionShape& shape)
      : scale(shape.scale), cap(shape.cap), inverse_cap(shape.cap == 0 ? 0 : 1 / shape.cap) {}
  template <class D, class V>
  HWY_INLINE V operator()(D d, V product) const {
    const V scaled = hn::Mul(product, hn::Set(d, scale));
    if (cap == 0) return scaled;
    return hn::Mul(hn::Tanh(d, hn::Mul(scaled, hn::Set(d, inverse_cap))), hn::Set(d, cap));
  }
};

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_ATTENTION_INL_H_
