// Flock of Finches: RWKV-6 with experts beside the channel mix (the arena's cmix_x060moe.py). A
// token's expert follows from its id.
#ifndef LINNET_MODELS_RWKV6MOE_H_
#define LINNET_MODELS_RWKV6MOE_H_

#include "models/experts.h"
#include "models/rwkv6.h"

namespace linnet {

struct Rwkv6Moe {
  struct Layer {
    Rwkv6::Layer rwkv6;
    ExpertStack key, value;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV6MOE_H_
