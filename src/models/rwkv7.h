// RWKV-7 "Goose" (arXiv:2503.14456): a state that is updated by a delta rule.
#ifndef LINNET_MODELS_RWKV7_H_
#define LINNET_MODELS_RWKV7_H_

#include "models/generation.h"

namespace linnet {

struct Rwkv7 {
  // x0 + second(f(first(x))): the low-rank form of w, a, v and g; g has no x0.
  struct LowRank {
    Var bias;
    LinearParam first, second;
  };

  struct Layer {
    bool is_first = false;
    Var x_r, x_w, x_k, x_v, x_a, x_g;
    LowRank w, a, v, g;
    Var k_k, k_a, r_k;
    LinearParam receptance, key, value, output;
    NormParam ln_x;
    Var ffn_x_k;
    LinearParam ffn_key, ffn_value;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV7_H_
