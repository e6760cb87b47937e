// The tensors of states in files. State::Load and Save open the files.
#ifndef LINNET_MODELS_STATE_FILE_H_
#define LINNET_MODELS_STATE_FILE_H_

#include <cstddef>
#include <span>
#include <vector>

#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/state.h"

namespace linnet {

// A saved state of any model. Throws Error kBadState.
State ReadState(const TensorFile& file);

// A saved or tuned state for a model of this shape. Throws Error kBadState.
State ReadState(const TensorFile& file, const StateShape& model);

// The bytes of the file that State::Save writes without logits. Throws std::bad_alloc.
std::vector<std::byte> SavedBytes(const State& state);

// `state.000` … by the numbers of State::ToReference, and their values: F32, token ids I32.
void AddSpecs(std::span<const StateTensor> list, std::vector<TensorSpec>& specs);
void AppendTensors(std::span<const StateTensor> list, TensorWriter& writer);

// All tensors `state.000` … of a file, in the order of their numbers. Integers are token ids.
// Throws Error kBadState if they are no ids.
std::vector<StateTensor> ReadTensors(const TensorFile& file);

}  // namespace linnet

#endif  // LINNET_MODELS_STATE_FILE_H_
