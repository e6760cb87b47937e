// The loss of a language model: head, softmax and cross entropy, with their gradients.
#ifndef LINNET_OPS_LOSS_H_
#define LINNET_OPS_LOSS_H_

#include <cstdint>
#include <span>

#include "ops/pass.h"

namespace linnet {

struct LossOptions {
  bool l2wrap = false;  // RWKV-LM's L2Wrap: pulls the largest logit of a row towards zero
  double scale = 1;     // of a row in the gradient: 1 / the learnt tokens of the whole batch
};

// losses[s] = the sum over rows t of sequence s (one sequence of all rows if the pass has none)
// with targets[t] >= 0 of -log softmax(W x[t])[targets[t]]: unscaled, and without the L2Wrap term.
//
// With a tape it immediately adds, before the tape runs, `scale` times the gradient of those sums
// to x.g and head.g if they are tracked. L2Wrap adds scale * 1e-4 * logit at the first of the
// largest logits of a learnt row. Only blocks of the logits, [rows, V], are in memory: they are
// computed once for the softmax sums and again for the gradient. Targets are below V.
void HeadLoss(Pass& p, Var x, const LinearParam& head, std::span<const int32_t> targets,
              const LossOptions& options, std::span<double> losses);

}  // namespace linnet

#endif  // LINNET_OPS_LOSS_H_
