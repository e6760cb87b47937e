// Internal access to Model: a Model over a trainer's network, and the checkpoint of a Model.
#ifndef LINNET_MODELS_MODEL_OF_H_
#define LINNET_MODELS_MODEL_OF_H_

#include <memory>

#include "linnet/model.h"
#include "models/network.h"

namespace linnet {

// Forward uses the current values of the network; they must not change while it runs.
Model ModelOf(std::shared_ptr<const Network> network);

// The checkpoint that the model was opened from; valid as long as the model.
const Checkpoint& CheckpointOf(const Model& model);

}  // namespace linnet

#endif  // LINNET_MODELS_MODEL_OF_H_
