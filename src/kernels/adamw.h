// AdamW's update of one run of parameters, and the squares that gradient clipping sums.
#ifndef LINNET_KERNELS_ADAMW_H_
#define LINNET_KERNELS_ADAMW_H_

#include <cstddef>

namespace linnet {

// One step of decoupled weight decay Adam (Loshchilov and Hutter, arXiv:1711.05101), as
// torch.optim.AdamW takes it.
struct AdamWStep {
  double lr = 0, beta1 = 0.9, beta2 = 0.99, eps = 1e-18, weight_decay = 0;
  // 1 - beta^t after t steps, this one counted.
  double correction1 = 1, correction2 = 1;
  double grad_scale = 1;  // of every gradient, as clipping to a norm wants it
};

// g' = grad_scale g; w -= lr weight_decay w; m += (1 - beta1)(g' - m);
// v += (1 - beta2)(g'^2 - v); w -= lr / correction1 * m / (sqrt(v / correction2) + eps).
// A value depends on its own w, g, m, v alone, so runs may be cut anywhere. Where m and the
// denominator are both 0 (eps = 0, or too small to be told from 0) w only decays.
void AdamWRow(float* w, const float* g, float* m, float* v, size_t n,
              const AdamWStep& step) noexcept;

// The sum of x², in double, in an order that depends on n alone: blocks of 4096, in halves. So the
// sum over rows cut at such blocks and added in halves (ops/sum_tree.h) is that of the whole.
double SumOfSquares(const float* x, size_t n) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ADAMW_H_
