// RWKV-7a: RWKV-7 with DeepEmbed, per-token matrices that scale the channel mix (BlinkDL's
// RWKV-v7/rwkv_v7a_demo.py).
#ifndef LINNET_MODELS_RWKV7A_H_
#define LINNET_MODELS_RWKV7A_H_

#include "models/rwkv7.h"

namespace linnet {

struct Rwkv7a {
  struct DeepEmbed {
    TableParam matrices;       // [V, 1024]: a 32 x 32 matrix per token
    LinearParam of_embedding;  // adds a projection of the embedding to it
    LinearParam down, up;
    Var bias;
  };

  struct Layer {
    Rwkv7::Layer rwkv7;
    DeepEmbed deep;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV7A_H_
