#include "models/rwkv5.h"

#include <algorithm>

namespace linnet {

template <Generation kGeneration>
auto Rwkv5<kGeneration>::Bind(BlockBinder& b) -> Layer {
  Layer w;
  w.mix_k = b.Vector("att.time_mix_k");
  w.mix_v = b.Vector("att.time_mix_v");
  w.mix_r = b.Vector("att.time_mix_r");
  w.decay = b.Vector("att.time_decay");
  w.log_first = !b.Has("att.time_faaaa");
  w.first = b.Vector(kPerChannel ? "att.time_faaaa" : "att.time_first");
  w.key = b.Matrix("att.key.weight");
  w.value = b.Matrix("att.value.weight");
  w.receptance = b.Matrix("att.receptance.weight");
  if constexpr (kGate) {
    w.mix_g = b.Vector("att.time_mix_g");
    w.gate = b.Matrix("att.gate.weight");
  }
  w.output = b.Matrix("att.output.weight");
  w.ln_x = b.Norm("att.ln_x");
  w.ffn = BindChannelMix(b, "time_mix_");
  return w;
}

template <Generation kGeneration>
Var Rwkv5<kGeneration>::TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry&) {
  const auto mix = [&](const auto&... keep) {
    return LerpsFromPrevious(p, x, ShiftOf::kTimeMix, MixFor(w.mix_r, w.receptance),
                             MixFor(w.mix_k, w.key), MixFor(w.mix_v, w.value), keep...);
  };
  std::array<Var, 4> mixes;  // for r, k, v and the gate
  if constexpr (kGate) {
    mixes = mix(MixFor(w.mix_g, w.gate));
  } else {
    std::ranges::copy(mix(), mixes.begin());
  }
  DeferredProducts products(p);
  const Var r = Linear(p, mixes[0], w.receptance);
  const Var k = Linear(p, mixes[1], w.key);
  const Var v = Linear(p, mixes[2], w.value);
  Var gate;
  if constexpr (kGate) gate = Linear(p, mixes[3], w.gate);
  products.Run();
  Var decay = ExpNegExp(p, Broadcast(w.decay, x.rows()));
  if constexpr (!kPerChannel) decay = Repeat(p, decay, c.head_size);
  Var y = Wkv6(p, r, decay, k, v, w.first, c.heads, w.log_first);
  y = Norm(p, y, c.heads, w.ln_x.gain, w.ln_x.bias, c.ln_x_eps);
  if constexpr (kGate) y = Mul(p, y, Silu(p, gate));
  return Linear(p, y, w.output);
}

template <Generation kGeneration>
Var Rwkv5<kGeneration>::ChannelMix(Pass& p, const Layer& w, Var x) {
  const auto [x_k, x_r] =
      LerpsFromPrevious(p, x, ShiftOf::kChannelMix, KeyMix(w.ffn), ReceptanceMix(w.ffn));
  return GatedChannelMix(p, w.ffn, x_k, x_r);
}

template struct Rwkv5<Generation::k50>;
template struct Rwkv5<Generation::k51>;
template struct Rwkv5<Generation::k52>;
static_assert(Mixes<Rwkv5<Generation::k52>>);

}  // namespace linnet
