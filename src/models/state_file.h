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

// The logits that State::Save was given; empty if there are none.
std::vector<float> ReadLogits(const TensorFile& file);

// The bytes of the file that State::Save writes, with floats of another type that readers accept as
// well. Throws std::bad_alloc.
std::vector<std::byte> SavedBytes(const State& state, std::span<const float> logits = {},
                                  SourceType type = SourceType::kF32);

// `state.000` … by the numbers of State::ToReference, and their values: F32, token ids I32.
void AddSpecs(std::span<const StateTensor> list, std::vector<TensorSpec>& specs,
              SourceType type = SourceType::kF32);
void AppendTensors(std::span<const StateTensor> list, TensorWriter& writer,
                   SourceType type = SourceType::kF32);

// All tensors `state.000` … of a file, in the order of their numbers. Integers are token ids.
// Throws Error kBadState if they are no ids.
std::vector<StateTensor> ReadTensors(const TensorFile& file);

}  // namespace linnet

#endif  // LINNET_MODELS_STATE_FILE_H_
