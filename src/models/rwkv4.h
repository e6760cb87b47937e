// RWKV-4 (Pile, Raven, World; arXiv:2305.13048): the equations.
#ifndef LINNET_MODELS_RWKV4_H_
#define LINNET_MODELS_RWKV4_H_

#include "models/generation.h"

namespace linnet {

struct Rwkv4 {
  struct Layer {
    Var mix_k, mix_v, mix_r, decay, first;
    LinearParam key, value, receptance, output;
    ChannelMix456 ffn;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

// mix * x + (1 - mix) * previous x, for several mixes: the token shift of v4 and v5.
template <class... Mix>
auto LerpsFromPrevious(Pass& p, Var x, ShiftOf which, const Mix&... mix) {
  const auto before = [&](MixFor m) {
    m.mu = OneMinus(p, m.mu);
    return m;
  };
  return ShiftedLerps(p, x, which, before(mix)...);
}

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV4_H_
