// The deltas of an adapter for single turns.
#ifndef LINNET_MODELS_TURN_ADAPTER_H_
#define LINNET_MODELS_TURN_ADAPTER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "linnet/model.h"
#include "models/binder.h"
#include "models/network.h"
#include "ops/pass.h"

namespace linnet {

struct TurnAdapter::Impl {
  std::shared_ptr<const Network> network;  // whose weights the deltas are for
  ParamStore store;
  AdapterDeltas deltas;
  std::string digest;
  uint64_t bytes = 0;
};

// See Model::LoadAdapter.
std::unique_ptr<TurnAdapter::Impl> LoadTurnAdapter(std::shared_ptr<const Network> network,
                                                   const AdapterFile& file);

}  // namespace linnet

#endif  // LINNET_MODELS_TURN_ADAPTER_H_
