// Predicts the memory of a training from sizes, before anything is read or written.
#ifndef LINNET_TRAIN_RUN_MEMORY_H_
#define LINNET_TRAIN_RUN_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "linnet/config.h"
#include "models/names.h"
#include "train/learner.h"

namespace linnet {

// The parameters of a model in training.
struct ParameterSizes {
  uint64_t learning = 0;  // trained values
  uint64_t fixed = 0;     // other bytes: packed matrices and frozen parameters
};

// Of a new model, and of a file. `options` selects what is trained; with `adapters`, none of it is.
ParameterSizes SizesOfNew(const Config& config, const LearnerOptions& options);
ParameterSizes SizesOfBase(const Checkpoint& base, const LearnerOptions& options, bool adapters);

// Bytes of the parameters, gradients, moments and partial gradient sums of one of `processes`
// processes, which runs `share` rows per step, `rows` per pass.
uint64_t ParameterBytes(const ParameterSizes& sizes, size_t share, size_t rows, size_t processes);

// Bytes that a pass of so many rows of `length` tokens takes with this number of threads, if the
// whole model is trained. Measured on small models of the same generation and scaled; within a
// third of what Replicas::Bytes measures when the network exists.
uint64_t PassBytes(const Config& config, const LearnerOptions& options, size_t rows, size_t length,
                   size_t threads, uint64_t learning);

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_MEMORY_H_
