// The loop of most backward steps: over rows, adding to the gradients of activations and
// parameters.
#ifndef LINNET_OPS_BACK_ROWS_H_
#define LINNET_OPS_BACK_ROWS_H_

#include <algorithm>
#include <array>
#include <vector>

#include "ops/pass.h"
#include "ops/sum_tree.h"

namespace linnet {

// Sums `outputs` rows of `cols` values over the rows of the pass. All gradients of parameters are
// summed this way: body(row, rows, col, count, sums) adds rows [row, row + rows) of one sequence,
// in order, to sums, [outputs, count]; take(output, col, count, sum) receives the result. Threads
// split the columns in multiples of `grain`; `work` as in Pass::ForRows.
template <class Body, class Take>
void SumOverRows(const Pass& p, size_t rows, size_t cols, size_t outputs, size_t grain, size_t work,
                 const Body& body, const Take& take) {
  const TrainingSequence all{0, rows};
  const std::span<const TrainingSequence> sequences =
      p.sequences.empty() ? std::span<const TrainingSequence>{&all, 1} : p.sequences;
  const auto columns = [&](size_t begin, size_t end) {
    const size_t count = end - begin, n = outputs * count;
    std::vector<float> sums((1 + SumTreeDepth(sequences.size())) * n);
    SumInHalves(
        0, sequences.size(), n,
        [&](size_t i, float* to) {
          std::fill_n(to, n, 0.0f);
          body(sequences[i].begin, sequences[i].len, begin, count, to);
        },
        sums.data(), sums.data() + n);
    for (size_t i = 0; i < outputs; ++i) take(i, begin, count, sums.data() + i * count);
  };
  if (work < Pass::kParallelFloats) {
    columns(0, cols);
  } else {
    p.pool.ForRanges(cols, grain, columns);
  }
}

// One row broadcast to all: its gradient is a sum.
inline bool IsShared(const Mat<float>& g) { return g.stride == 0 && g.rows > 1; }

// Calls row(t, col, count, to) so that all rows and columns are covered once. to[i] is where to add
// the gradient of x[i] from row t, starting at column `col`; null if x[i] has no gradient.
// Broadcast rows are summed by SumOverRows.
template <size_t kInputs, class Row>
void BackRows(const Pass& p, size_t rows, size_t cols, size_t grain,
              const std::array<Var, kInputs>& x, const Row& row) {
  const size_t work = 4 * rows * cols;
  using To = std::array<float*, kInputs>;
  std::array<bool, kInputs> first_write{};
  std::array<size_t, kInputs> shared{};  // their indices
  size_t sums = 0;
  for (size_t i = 0; i < kInputs; ++i) {
    if (!x[i].tracked()) continue;
    if (IsShared(x[i].g)) {
      x[i].InitGradient();
      shared[sums++] = i;
    } else {
      first_write[i] = x[i].TakeFirstWrite();
    }
  }
  const auto own = [&](size_t t, size_t col, size_t count, To& to) {
    for (size_t i = 0; i < kInputs; ++i) {
      to[i] = x[i].tracked() ? x[i].g.Row(t) + col : nullptr;
      if (first_write[i]) std::fill_n(to[i], count, 0.0f);
    }
  };
  if (sums == 0) {
    return p.ForRows(rows, work, [&](size_t begin, size_t end) {
      To to;
      for (size_t t = begin; t < end; ++t) {
        own(t, 0, cols, to);
        row(t, size_t{0}, cols, to);
      }
    });
  }
  SumOverRows(
      p, rows, cols, sums, grain, work,
      [&](size_t begin, size_t len, size_t col, size_t count, float* leaf) {
        To to;
        for (size_t t = begin; t < begin + len; ++t) {
          own(t, col, count, to);
          for (size_t i = 0; i < sums; ++i) to[shared[i]] = leaf + i * count;
          row(t, col, count, to);
        }
      },
      [&](size_t i, size_t col, size_t count, const float* sum) {
        float* to = x[shared[i]].g.data + col;
        for (size_t c = 0; c < count; ++c) to[c] += sum[c];
      });
}

// Floats in a cache line.
inline constexpr size_t kLine = 16;

}  // namespace linnet

#endif  // LINNET_OPS_BACK_ROWS_H_
