// RWKV-5 (arXiv:2404.05892) in its variants: 5.0, 5.1 with a gate, 5.2 "Eagle" with a decay per
// channel.
#ifndef LINNET_MODELS_RWKV5_H_
#define LINNET_MODELS_RWKV5_H_

#include "models/generation.h"
#include "models/rwkv4.h"

namespace linnet {

template <Generation kGeneration>
struct Rwkv5 {
  static constexpr bool kGate = kGeneration != Generation::k50;
  static constexpr bool kPerChannel = kGeneration == Generation::k52;

  struct Layer {
    Var mix_k, mix_v, mix_r, mix_g, decay, first;
    bool log_first = false;  // time_first is a logarithm, time_faaaa is not
    LinearParam key, value, receptance, gate, output;
    NormParam ln_x;
    ChannelMix456 ffn;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV5_H_
