// Softmax of one row of logits, a range of columns at a time, and its gradient.
#ifndef LINNET_KERNELS_CROSS_ENTROPY_H_
#define LINNET_KERNELS_CROSS_ENTROPY_H_

#include <cstddef>
#include <limits>

#include "kernels/matmul.h"

namespace linnet {

// Over the columns so far: the first of the largest logits, and the sum of exp(x - top).
struct SoftmaxSum {
  float top = -std::numeric_limits<float>::infinity();
  size_t top_column = 0;
  double sum = 0;

  double Log() const;  // of the sum of exp(x)
  // Appends the columns of `other`.
  void Add(const SoftmaxSum& other);
};

// Adds logits [n] of the columns from `column` on.
void AddLogits(const float* logits, size_t n, size_t column, SoftmaxSum& sum) noexcept;

// to[i] = scale exp(x[i] - log_sum), in `form`: f32 or rounded to bf16.
void SoftmaxGradient(const float* x, size_t n, float log_sum, float scale, Activation form,
                     std::byte* to) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_CROSS_ENTROPY_H_
