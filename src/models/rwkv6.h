// RWKV-6 "Finch" (arXiv:2404.05892): data-dependent mixes and decay.
#ifndef LINNET_MODELS_RWKV6_H_
#define LINNET_MODELS_RWKV6_H_

#include <array>

#include "models/generation.h"

namespace linnet {

struct Rwkv6 {
  static constexpr size_t kMixes = 5;  // in the order w, k, v, r, g

  struct Layer {
    Var maa_x;
    std::array<Var, kMixes> maa;
    LinearParam maa_w1;
    std::array<LinearParam, kMixes> maa_w2;
    Var decay, first;
    LinearParam decay_w1, decay_w2;
    LinearParam receptance, key, value, gate, output;
    NormParam ln_x;
    ChannelMix456 ffn;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV6_H_
