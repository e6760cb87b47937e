// Dropout: some of a branch's values left out at random, in training only.
#ifndef LINNET_OPS_DROPOUT_H_
#define LINNET_OPS_DROPOUT_H_

#include "ops/pass.h"

namespace linnet {

// x with the share p.dropout of its values set to zero and the others divided by what is left;
// x itself where p.dropout is 0. `branch` tells apart the branches of a layer. What is left
// out depends on p.dropout_seed, layer, branch, the sequence's index and the place in it alone,
// not on how a batch or a sequence is split, and is the same when a layer is run again.
Var Dropout(Pass& p, Var x, size_t branch);

}  // namespace linnet

#endif  // LINNET_OPS_DROPOUT_H_
