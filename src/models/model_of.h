// A Model over a network that someone else changes: a trainer's.
#ifndef LINNET_MODELS_MODEL_OF_H_
#define LINNET_MODELS_MODEL_OF_H_

#include <memory>

#include "linnet/model.h"
#include "models/network.h"

namespace linnet {

// Sees the network's values as they are when Forward runs; nobody may change them meanwhile.
Model ModelOf(std::shared_ptr<const Network> network);

}  // namespace linnet

#endif  // LINNET_MODELS_MODEL_OF_H_
