// The loss of a language model: head, softmax, cross entropy and their gradients in one.
#ifndef LINNET_OPS_LOSS_H_
#define LINNET_OPS_LOSS_H_

#include <cstdint>
#include <span>

#include "ops/pass.h"

namespace linnet {

struct LossOptions {
  bool l2wrap = false;  // RWKV-LM's L2Wrap: the largest logit of a row is pulled towards zero
  double scale = 1;     // of a row in the gradient: 1 / the learnt tokens of the whole batch
};

// losses[s] = the sum over rows t of sequence s (all rows: one sequence, if the pass names none)
// with targets[t] >= 0 of -log softmax(W x[t])[targets[t]]: unscaled, and without L2Wrap's share.
//
// With a tape it adds at once, not when the tape runs, scale times the gradient of those sums to
// x.g and head.g where they are tracked; L2Wrap adds scale * 1e-4 * logit at the first of the
// largest logits of a learnt row. The logits, [rows, V], exist a block at a time: they are computed
// once for the softmax's sums and again for the gradient. Targets are below V.
void HeadLoss(Pass& p, Var x, const LinearParam& head, std::span<const int32_t> targets,
              const LossOptions& options, std::span<double> losses);

}  // namespace linnet

#endif  // LINNET_OPS_LOSS_H_
