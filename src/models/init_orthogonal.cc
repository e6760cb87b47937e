#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "models/init_orthogonal.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cmath>
#include <vector>

#include "hwy/highway.h"
#include "kernels/rows.h"
#include "models/init_orthogonal.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kBlock = RowBlock::kRows;

// Columns summed at a time: 64 rows of this length fit in the L2 cache.
constexpr size_t kRun = 2048;
// Rows of V subtracted at a time, so that 64 columns of them fit in L1.
constexpr size_t kDepth = 128;

// dots[k][i] += v_k . w_i over columns [begin, end), for 4 rows k and 2 rows i.
HWY_INLINE void AddDots(const float* v, const float* w, size_t stride, size_t begin, size_t end,
                        float* dots) {
  const hn::ScalableTag<float> d;
  const float *v0 = v, *v1 = v + stride, *v2 = v + 2 * stride, *v3 = v + 3 * stride;
  const float *w0 = w, *w1 = w + stride;
  auto s00 = hn::Zero(d), s01 = s00, s10 = s00, s11 = s00;
  auto s20 = s00, s21 = s00, s30 = s00, s31 = s00;
  for (size_t c = begin; c < end; c += hn::Lanes(d)) {
    const auto a = hn::LoadU(d, w0 + c), b = hn::LoadU(d, w1 + c);
    auto x = hn::LoadU(d, v0 + c);
    s00 = hn::MulAdd(x, a, s00);
    s01 = hn::MulAdd(x, b, s01);
    x = hn::LoadU(d, v1 + c);
    s10 = hn::MulAdd(x, a, s10);
    s11 = hn::MulAdd(x, b, s11);
    x = hn::LoadU(d, v2 + c);
    s20 = hn::MulAdd(x, a, s20);
    s21 = hn::MulAdd(x, b, s21);
    x = hn::LoadU(d, v3 + c);
    s30 = hn::MulAdd(x, a, s30);
    s31 = hn::MulAdd(x, b, s31);
  }
  const auto add = [&](size_t at, auto sum)
                       HWY_ATTR { dots[at] += hn::GetLane(hn::SumOfLanes(d, sum)); };
  add(0, s00);
  add(1, s01);
  add(kBlock, s10);
  add(kBlock + 1, s11);
  add(2 * kBlock, s20);
  add(2 * kBlock + 1, s21);
  add(3 * kBlock, s30);
  add(3 * kBlock + 1, s31);
}

// dots[k][i] = v_k . w_i for k < rows, a multiple of 4, and the 64 rows of w.
void Dots(const float* v, const float* w, size_t stride, size_t rows, float* dots) {
  std::fill_n(dots, rows * kBlock, 0.0f);
  for (size_t begin = 0; begin < stride; begin += kRun) {
    const size_t end = std::min(begin + kRun, stride);
    for (size_t k = 0; k < rows; k += 4) {
      for (size_t i = 0; i < kBlock; i += 2) {
        AddDots(v + k * stride, w + i * stride, stride, begin, end, dots + k * kBlock + i);
      }
    }
  }
}

// Computes a tile of w, four rows by two vectors, minus the sum over `depth` rows k of dots[k][i]
// v_k.
HWY_INLINE void SubtractTile(const float* v, const float* dots, size_t stride, size_t depth,
                             float* w) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  float *w0 = w, *w1 = w + stride, *w2 = w + 2 * stride, *w3 = w + 3 * stride;
  auto a0 = hn::LoadU(d, w0), b0 = hn::LoadU(d, w0 + lanes);
  auto a1 = hn::LoadU(d, w1), b1 = hn::LoadU(d, w1 + lanes);
  auto a2 = hn::LoadU(d, w2), b2 = hn::LoadU(d, w2 + lanes);
  auto a3 = hn::LoadU(d, w3), b3 = hn::LoadU(d, w3 + lanes);
  for (size_t k = 0; k < depth; ++k) {
    const auto a = hn::LoadU(d, v + k * stride), b = hn::LoadU(d, v + k * stride + lanes);
    const float* s = dots + k * kBlock;
    auto x = hn::Set(d, s[0]);
    a0 = hn::NegMulAdd(x, a, a0);
    b0 = hn::NegMulAdd(x, b, b0);
    x = hn::Set(d, s[1]);
    a1 = hn::NegMulAdd(x, a, a1);
    b1 = hn::NegMulAdd(x, b, b1);
    x = hn::Set(d, s[2]);
    a2 = hn::NegMulAdd(x, a, a2);
    b2 = hn::NegMulAdd(x, b, b2);
    x = hn::Set(d, s[3]);
    a3 = hn::NegMulAdd(x, a, a3);
    b3 = hn::NegMulAdd(x, b, b3);
  }
  hn::StoreU(a0, d, w0);
  hn::StoreU(b0, d, w0 + lanes);
  hn::StoreU(a1, d, w1);
  hn::StoreU(b1, d, w1 + lanes);
  hn::StoreU(a2, d, w2);
  hn::StoreU(b2, d, w2 + lanes);
  hn::StoreU(a3, d, w3);
  hn::StoreU(b3, d, w3 + lanes);
}

// w_i -= sum over k < rows of dots[k][i] v_k, in columns [begin, end), whole multiples of 64.
void Subtract(const float* v, const float* dots, size_t stride, size_t rows, size_t begin,
              size_t end, float* w) {
  const size_t width = 2 * hn::Lanes(hn::ScalableTag<float>());
  for (size_t c = begin; c < end; c += RowBlock::kColumns) {
    for (size_t k = 0; k < rows; k += kDepth) {
      const size_t depth = std::min(kDepth, rows - k);
      for (size_t i = 0; i < kBlock; i += 4) {
        for (size_t at = c; at < c + RowBlock::kColumns; at += width) {
          SubtractTile(v + k * stride + at, dots + k * kBlock + i, stride, depth,
                       w + i * stride + at);
        }
      }
    }
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
namespace {

HWY_EXPORT(Dots);
HWY_EXPORT(Subtract);

size_t Padded(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Subtracts from the block at row `first` its projection on the rows before it.
void ProjectOut(RowBlock& rows, size_t first, std::vector<float>& dots, ThreadPool& pool) {
  constexpr size_t kBlock = RowBlock::kRows;
  const float* v = rows.Row(0);
  float* w = rows.Row(first);
  const size_t stride = rows.stride();
  dots.resize(first * kBlock);
  pool.ForRanges(first, 4, [&](size_t begin, size_t end) {
    HWY_DYNAMIC_DISPATCH(Dots)
    (rows.Row(begin), w, stride, end - begin, dots.data() + begin * kBlock);
  });
  pool.ForRanges(stride, RowBlock::kColumns, [&](size_t begin, size_t end) {
    HWY_DYNAMIC_DISPATCH(Subtract)(v, dots.data(), stride, first, begin, end, w);
  });
}

// Subtracts from row i its projection on rows [first, i).
void ProjectOutInside(RowBlock& rows, size_t first, size_t i, std::vector<float>& dots,
                      ThreadPool& pool) {
  constexpr size_t kGrain = 4096;
  const size_t stride = rows.stride(), before = i - first;
  dots.resize(before);
  pool.ForRanges(before, 4, [&](size_t begin, size_t end) {
    for (size_t k = begin; k < end; ++k) {
      dots[k] = Dot(rows.Row(first + k), rows.Row(i), stride);
    }
  });
  pool.ForRanges(stride, kGrain, [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += kGrain) {
      const size_t n = std::min(kGrain, end - at);
      for (size_t k = 0; k < before; ++k) {
        AddScaledRow(rows.Row(first + k) + at, -dots[k], n, rows.Row(i) + at);
      }
    }
  });
}

double LengthOf(const RowBlock& rows, size_t i) {
  return std::sqrt(double{Dot(rows.Row(i), rows.Row(i), rows.stride())});
}

// Gram-Schmidt of the rows [first, end) among themselves.
void OrthonormalizeInside(RowBlock& rows, size_t first, size_t end, ThreadPool& pool) {
  constexpr int kMostPasses = 4;
  std::vector<float> dots;
  for (size_t i = first; i < end; ++i) {
    double before = LengthOf(rows, i), after = before;
    // The error is relative to the length before the pass, so a row that shrank a lot gets another.
    for (int pass = 0; i > first && pass < kMostPasses; ++pass) {
      ProjectOutInside(rows, first, i, dots, pool);
      after = LengthOf(rows, i);
      if (after > 0.7 * before) break;
      before = after;
    }
    const auto scale = static_cast<float>(after > 0 ? 1 / after : 0);
    for (size_t c = 0; c < rows.length(); ++c) rows.Row(i)[c] *= scale;
  }
}

}  // namespace

RowBlock::RowBlock(size_t count, size_t length)
    : count_(count),
      length_(length),
      stride_(Padded(length, kColumns)),
      buffer_(Padded(count, kRows) * stride_ * sizeof(float)) {}

void OrthonormalizeRows(RowBlock& rows, ThreadPool& pool) {
  std::vector<float> dots;
  for (size_t first = 0; first < rows.count(); first += RowBlock::kRows) {
    const size_t end = std::min(first + RowBlock::kRows, rows.count());
    // The rows before contain about end / length of a Gaussian row's squared length.
    const int passes = 2 * end > rows.length() ? 2 : 1;
    for (int pass = 0; pass < passes; ++pass) {
      if (first > 0) ProjectOut(rows, first, dots, pool);
      OrthonormalizeInside(rows, first, end, pool);
    }
  }
}

}  // namespace linnet
#endif  // HWY_ONCE
