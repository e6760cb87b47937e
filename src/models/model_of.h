// Between Model and what is under it: a Model over a trainer's network, and a Model's checkpoint.
#ifndef LINNET_MODELS_MODEL_OF_H_
#define LINNET_MODELS_MODEL_OF_H_

#include <memory>

#include "linnet/model.h"
#include "models/network.h"

namespace linnet {

// Sees the network's values as they are when Forward runs; nobody may change them meanwhile.
Model ModelOf(std::shared_ptr<const Network> network);

// What the model was opened from; lives as long as it.
const Checkpoint& CheckpointOf(const Model& model);

}  // namespace linnet

#endif  // LINNET_MODELS_MODEL_OF_H_
