// RWKV-6 "Finch" (arXiv:2404.05892): data-dependent mixes and decay.
#ifndef LINNET_MODELS_RWKV6_H_
#define LINNET_MODELS_RWKV6_H_

#include <array>

#include "models/generation.h"

namespace linnet {

// Data-dependent token shifts: x + d ∘ (maa_i + m_i), where the m_i are the parts of
// tanh((x + d ∘ maa_x) W1), each times its W2.
struct DynamicMixes {
  static constexpr size_t kCount = 5;

  Var maa_x;
  std::array<Var, kCount> maa;
  LinearParam w1;
  std::array<LinearParam, kCount> w2;

  // `names` are the endings of time_maa_*, in the order of the parts.
  static DynamicMixes Bind(BlockBinder& b, const std::array<const char*, kCount>& names);
  std::array<Var, kCount> Of(Pass& p, Var x) const;
};

// The gated channel mix of RWKV-6 and its relatives.
Var ChannelMix6(Pass& p, const ChannelMix456& w, Var x);

struct Rwkv6 {
  struct Layer {
    DynamicMixes mixes;
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
