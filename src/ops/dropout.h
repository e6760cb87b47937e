// Dropout: sets random values of a branch to zero, in training only.
#ifndef LINNET_OPS_DROPOUT_H_
#define LINNET_OPS_DROPOUT_H_

#include "ops/pass.h"

namespace linnet {

// x with the fraction p.dropout of its values set to zero and the others divided by 1 - p.dropout;
// x itself if p.dropout is 0. `branch` distinguishes the branches of a layer. Which values are
// dropped depends only on p.dropout_seed, layer, branch, the sequence's index and the position in
// it, not on how a batch or a sequence is split, and is the same when a layer is recomputed.
Var Dropout(Pass& p, Var x, size_t branch);

}  // namespace linnet

#endif  // LINNET_OPS_DROPOUT_H_
