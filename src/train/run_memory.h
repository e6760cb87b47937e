// What a training will take of memory, predicted from sizes before anything is read or written.
#ifndef LINNET_TRAIN_RUN_MEMORY_H_
#define LINNET_TRAIN_RUN_MEMORY_H_

#include <cstddef>
#include <cstdint>

#include "linnet/config.h"
#include "models/names.h"
#include "train/learner.h"

namespace linnet {

// The parameters of a model that trains.
struct ParameterSizes {
  uint64_t learning = 0;  // values that learn
  uint64_t fixed = 0;     // bytes beside those: packed matrices, and what does not learn
};

// Of a new model, and of a file. Counts what `options` lets learn; `adapters`: none of it does.
ParameterSizes SizesOfNew(const Config& config, const LearnerOptions& options);
ParameterSizes SizesOfBase(const Checkpoint& base, const LearnerOptions& options, bool adapters);

// Bytes of the parameters, with their gradients, moments and the gradients that wait to be summed,
// of one of `ranks` processes, which runs `share` rows a step, `rows` a pass.
uint64_t ParameterBytes(const ParameterSizes& sizes, size_t share, size_t rows, size_t ranks);

// Bytes that a pass of so many rows of `length` tokens takes with this number of threads, of a
// model of which all learns: measured on small models of the same generation and scaled, within a
// third of what Replicas::Bytes finds once there is a network.
uint64_t PassBytes(const Config& config, const LearnerOptions& options, size_t rows, size_t length,
                   size_t threads, uint64_t learning);

}  // namespace linnet

#endif  // LINNET_TRAIN_RUN_MEMORY_H_
