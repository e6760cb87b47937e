// AdamW's update of a range of parameters, and the sum of squares for gradient clipping.
#ifndef LINNET_KERNELS_ADAMW_H_
#define LINNET_KERNELS_ADAMW_H_

#include <cstddef>

namespace linnet {

// One step of decoupled weight decay Adam (Loshchilov and Hutter, arXiv:1711.05101), as
// torch.optim.AdamW takes it.
struct AdamWStep {
  double lr = 0, beta1 = 0.9, beta2 = 0.99, eps = 1e-18, weight_decay = 0;
  // 1 - beta^t, with t the number of steps including this one.
  double correction1 = 1, correction2 = 1;
  double grad_scale = 1;  // factor of every gradient, for clipping by norm
};

// g' = grad_scale g; w -= lr weight_decay w; m += (1 - beta1)(g' - m);
// v += (1 - beta2)(g'^2 - v); w -= lr / correction1 * m / (sqrt(v / correction2) + eps).
// Each value depends only on its own w, g, m and v, so a range may be split anywhere. Where m and
// the denominator are both 0 (eps is 0, or too small to change the sum) w only decays.
void AdamWRow(float* w, const float* g, float* m, float* v, size_t n,
              const AdamWStep& step) noexcept;

// The sum of x² in double: blocks of 4096, added in halves, an order that depends on n alone. So
// the sum over ranges that are split at such blocks and added in halves (ops/sum_tree.h) equals
// that of the whole.
double SumOfSquares(const float* x, size_t n) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ADAMW_H_
