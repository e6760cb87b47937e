#include "models/rwkv6.h"

namespace linnet {

Rwkv6::Layer Rwkv6::Bind(BlockBinder& b) {
  Layer w;
  w.maa_x = b.Vector("att.time_maa_x");
  for (size_t i = 0; i < kMixes; ++i) {
    w.maa[i] = b.Vector(std::string("att.time_maa_") + "wkvrg"[i]);
  }
  w.maa_w1 = b.Matrix("att.time_maa_w1");
  for (size_t i = 0; i < kMixes; ++i) {
    w.maa_w2[i] = b.Slice("att.time_maa_w2", i);
  }
  w.decay = b.Vector("att.time_decay");
  w.first = b.Vector("att.time_faaaa");
  w.decay_w1 = b.Matrix("att.time_decay_w1");
  w.decay_w2 = b.Matrix("att.time_decay_w2");
  w.receptance = b.Matrix("att.receptance.weight");
  w.key = b.Matrix("att.key.weight");
  w.value = b.Matrix("att.value.weight");
  w.gate = b.Matrix("att.gate.weight");
  w.output = b.Matrix("att.output.weight");
  w.ln_x = b.Norm("att.ln_x");
  w.ffn = BindChannelMix(b, "time_maa_");
  return w;
}

Var Rwkv6::TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry&) {
  const size_t T = x.rows(), rank = c.ranks.at("mix");
  const Var d = Shift(p, x, ShiftOf::kTimeMix);
  const Var z = Lerp(p, x, d, Broadcast(w.maa_x, T));
  const Var m = TanhInPlace(p, Linear(p, z, w.maa_w1));  // [T, 5 * rank]
  DeferredProducts shifts(p);
  std::array<Var, kMixes> shifted;
  for (size_t i = 0; i < kMixes; ++i) {
    shifted[i] = Linear(p, Columns(m, i * rank, rank), w.maa_w2[i]);
  }
  shifts.Run();
  const auto mix = [&](size_t i) { return Lerp(p, x, d, AddBiasInPlace(p, shifted[i], w.maa[i])); };
  DeferredProducts products(p);
  const Var w1 = Linear(p, mix(0), w.decay_w1), k = Linear(p, mix(1), w.key);
  const Var v = Linear(p, mix(2), w.value), r = Linear(p, mix(3), w.receptance);
  const Var gate = Linear(p, mix(4), w.gate);
  products.Run();
  const Var g = Silu(p, gate), dynamic = Linear(p, TanhInPlace(p, w1), w.decay_w2);
  const Var decay = ExpNegExp(p, AddBiasInPlace(p, dynamic, w.decay));
  const Var y = Wkv6(p, r, decay, k, v, w.first, c.heads);
  const Var o = Norm(p, y, c.heads, w.ln_x.gain, w.ln_x.bias, c.ln_x_eps);
  return Linear(p, Mul(p, o, g), w.output);
}

Var Rwkv6::ChannelMix(Pass& p, const Layer& w, Var x) {
  const auto [x_k, x_r] =
      ShiftedLerps(p, x, ShiftOf::kChannelMix, KeyMix(w.ffn), ReceptanceMix(w.ffn));
  return GatedChannelMix(p, w.ffn, x_k, x_r);
}

static_assert(Mixes<Rwkv6>);

}  // namespace linnet
