// Products of matrices that fit a core's cache, and the operations that chunked recurrences need
// around them.
//
// Matrices are f32, row-major, 64-byte aligned; their sides are multiples of kSide.
#if defined(LINNET_KERNELS_PRODUCTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_PRODUCTS_INL_H_
#undef LINNET_KERNELS_PRODUCTS_INL_H_
#else
#define LINNET_KERNELS_PRODUCTS_INL_H_
#endif

#include <algorithm>

#include "hwy/highway.h"
#include "kernels/transpose_four-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kSide = 16;  // lanes of the widest vector

// a b, summed over `depth`; a[row][k] is at a[row * a_row + k * a_col], so it may be a transpose.
struct ProductTerm {
  const float* a;
  size_t a_row, a_col;
  const float* b;
  size_t b_row, depth;
};

// How a sum at [row][col] starts (`first`) and where it goes (`last`).
struct PutSum {  // c = sum
  float* c;
  size_t stride;
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t, size_t) const {
    return hn::Zero(d);
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    hn::Store(sum, d, c + row * stride + col);
  }
};

struct AddSum {  // c += sum
  float* c;
  size_t stride;
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t row, size_t col) const {
    return hn::Load(d, c + row * stride + col);
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    hn::Store(sum, d, c + row * stride + col);
  }
};

struct AddSumScaleRows {  // c = scale[row] (c + sum)
  float* c;
  size_t stride;
  const float* scale;
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t row, size_t col) const {
    return hn::Load(d, c + row * stride + col);
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    hn::Store(hn::Mul(hn::Set(d, scale[row]), sum), d, c + row * stride + col);
  }
};

template <bool kAdd>
struct ScaledSum {  // c = scale (sum), or scale (c + sum), elementwise
  float* c;
  size_t stride;
  const float* scale;  // stride as c
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t row, size_t col) const {
    return kAdd ? hn::Load(d, c + row * stride + col) : hn::Zero(d);
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    const size_t at = row * stride + col;
    hn::Store(hn::Mul(hn::Load(d, scale + at), sum), d, c + at);
  }
};

// In adjacent blocks of `width` columns, keeps only the values left of each block's diagonal, and
// with kDiagonal also the diagonal.
template <bool kDiagonal>
struct PutTriangles {
  float* c;
  size_t stride, width;
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t, size_t) const {
    return hn::Zero(d);
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    const size_t begin = col % width, end = row + (kDiagonal ? 1 : 0);
    const size_t kept = end > begin ? std::min(end - begin, hn::Lanes(d)) : 0;
    hn::Store(hn::IfThenElseZero(hn::FirstN(d, kept), sum), d, c + row * stride + col);
  }
};

template <size_t kRows, size_t kVectors, class Out, size_t kTerms>
HWY_INLINE void ProductTile(const ProductTerm (&terms)[kTerms], size_t row, size_t col,
                            const Out& out) {
  const hn::ScalableTag<float> d;
  constexpr size_t kLanes = hn::MaxLanes(d);
  hn::Vec<decltype(d)> sum[kRows][kVectors];
  HWY_UNROLL(16)
  for (size_t i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) sum[i][v] = out.first(d, row + i, col + v * kLanes);
  }
  for (const ProductTerm& term : terms) {
    const float *a = term.a + row * term.a_row, *b = term.b + col;
    for (size_t k = 0; k < term.depth; ++k, a += term.a_col, b += term.b_row) {
      hn::Vec<decltype(d)> right[kVectors];
      HWY_UNROLL(8)
      for (size_t v = 0; v < kVectors; ++v) right[v] = hn::Load(d, b + v * kLanes);
      HWY_UNROLL(16)
      for (size_t i = 0; i < kRows; ++i) {
        const auto left = hn::Set(d, a[i * term.a_row]);
        HWY_UNROLL(8)
        for (size_t v = 0; v < kVectors; ++v) {
          sum[i][v] = hn::MulAdd(left, right[v], sum[i][v]);
        }
      }
    }
  }
  HWY_UNROLL(16)
  for (size_t i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (size_t v = 0; v < kVectors; ++v) out.last(d, row + i, col + v * kLanes, sum[i][v]);
  }
}

// Passes the sum of the terms' products, [rows, cols], to `out`.
template <class Out, size_t kTerms>
HWY_NOINLINE void SmallProduct(size_t rows, size_t cols, const ProductTerm (&terms)[kTerms],
                               const Out& out) {
  constexpr size_t kLanes = hn::MaxLanes(hn::ScalableTag<float>());
  // Independent sums, as many as fit the registers.
  constexpr size_t kTile = HWY_TARGET == HWY_AVX3 ? 16 : 8;
  size_t col = 0;
  for (; col + 4 * kLanes <= cols; col += 4 * kLanes) {
    for (size_t row = 0; row < rows; row += kTile / 4) {
      ProductTile<kTile / 4, 4>(terms, row, col, out);
    }
  }
  for (; col + 2 * kLanes <= cols; col += 2 * kLanes) {
    for (size_t row = 0; row < rows; row += kTile / 2) {
      ProductTile<kTile / 2, 2>(terms, row, col, out);
    }
  }
  for (; col < cols; col += kLanes) {
    for (size_t row = 0; row < rows; row += kTile) ProductTile<kTile, 1>(terms, row, col, out);
  }
}

// [rows, cols] to [cols, rows], rows `stride` and `to_stride` floats apart.
inline void TransposeTo(const float* x, size_t stride, size_t rows, size_t cols, float* to,
                        size_t to_stride) {
#if HWY_TARGET == HWY_SCALAR
  for (size_t row = 0; row < rows; ++row) {
    for (size_t col = 0; col < cols; ++col) to[col * to_stride + row] = x[row * stride + col];
  }
#else
  constexpr size_t kLanes = hn::MaxLanes(TransposeD());
  for (size_t row = 0; row < rows; row += 4) {
    for (size_t col = 0; col < cols; col += kLanes) {
      TransposeFour(x + row * stride + col, stride, to + col * to_stride + row, to_stride);
    }
  }
#endif
}

// x [rows, cols] = (I - A)^-1 x, or (I - A^T)^-1 x. A [rows, rows] is strictly lower triangular,
// rows a_stride apart.
template <bool kTransposed>
HWY_NOINLINE void SolveUnit(const float* a, size_t a_stride, size_t rows, size_t cols, float* x) {
  const hn::ScalableTag<float> d;
  for (size_t col = 0; col < cols; col += hn::Lanes(d)) {
    for (size_t step = 0; step < rows; ++step) {
      const size_t i = kTransposed ? rows - 1 - step : step;
      auto even = hn::Load(d, x + i * cols + col), odd = hn::Zero(d);
      for (size_t s = 0; s < step; ++s) {
        const size_t j = kTransposed ? rows - 1 - s : s;
        const auto factor = hn::Set(d, kTransposed ? a[j * a_stride + i] : a[i * a_stride + j]);
        auto& sum = s % 2 == 0 ? even : odd;
        sum = hn::MulAdd(factor, hn::Load(d, x + j * cols + col), sum);
      }
      hn::Store(hn::Add(even, odd), d, x + i * cols + col);
    }
  }
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_PRODUCTS_INL_H_
