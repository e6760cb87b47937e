// Reads states from the tensors of an open file; State::Load opens the file first.
#ifndef LINNET_MODELS_STATE_FILE_H_
#define LINNET_MODELS_STATE_FILE_H_

#include "io/tensor_file.h"
#include "linnet/state.h"

namespace linnet {

// A saved state of any model. Throws Error kBadState.
State ReadState(const TensorFile& file);

// A saved or tuned state for a model of this shape. Throws Error kBadState.
State ReadState(const TensorFile& file, const StateShape& model);

}  // namespace linnet

#endif  // LINNET_MODELS_STATE_FILE_H_
