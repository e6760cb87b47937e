#include "models/rwkv6.h"

namespace linnet {

DynamicMixes DynamicMixes::Bind(BlockBinder& b, const std::array<const char*, kCount>& names) {
  DynamicMixes w;
  w.maa_x = b.Vector("att.time_maa_x");
  for (size_t i = 0; i < kCount; ++i) {
    w.maa[i] = b.Vector(std::string("att.time_maa_") + names[i]);
  }
  w.w1 = b.Matrix("att.time_maa_w1");
  for (size_t i = 0; i < kCount; ++i) w.w2[i] = b.Slice("att.time_maa_w2", i);
  return w;
}

std::array<Var, DynamicMixes::kCount> DynamicMixes::Of(Pass& p, Var x) const {
  const Var d = Shift(p, x, ShiftOf::kTimeMix);
  const Var z = Lerp(p, x, d, Broadcast(maa_x, x.rows()));
  const Var m = TanhInPlace(p, Linear(p, z, w1));  // [T, 5 * rank]
  const size_t rank = m.cols() / kCount;
  DeferredProducts shifts(p);
  std::array<Var, kCount> mixes;
  for (size_t i = 0; i < kCount; ++i) mixes[i] = Linear(p, Columns(m, i * rank, rank), w2[i]);
  shifts.Run();
  for (size_t i = 0; i < kCount; ++i) {
    mixes[i] = Lerp(p, x, d, AddBiasInPlace(p, mixes[i], maa[i]));
  }
  return mixes;
}

Var ChannelMix6(Pass& p, const ChannelMix456& w, Var x) {
  const auto [x_k, x_r] = ShiftedLerps(p, x, ShiftOf::kChannelMix, KeyMix(w), ReceptanceMix(w));
  return GatedChannelMix(p, w, x_k, x_r);
}

Rwkv6::Layer Rwkv6::Bind(BlockBinder& b) {
  Layer w;
  w.mixes = DynamicMixes::Bind(b, {"w", "k", "v", "r", "g"});
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
  const auto [x_w, x_k, x_v, x_r, x_g] = w.mixes.Of(p, x);
  DeferredProducts products(p);
  const Var w1 = Linear(p, x_w, w.decay_w1), k = Linear(p, x_k, w.key);
  const Var v = Linear(p, x_v, w.value), r = Linear(p, x_r, w.receptance);
  const Var gate = Linear(p, x_g, w.gate);
  products.Run();
  const Var g = Silu(p, gate), dynamic = Linear(p, TanhInPlace(p, w1), w.decay_w2);
  const Var decay = ExpNegExp(p, AddBiasInPlace(p, dynamic, w.decay));
  const Var y = Wkv6(p, r, decay, k, v, w.first, c.heads);
  const Var o = Norm(p, y, c.heads, w.ln_x.gain, w.ln_x.bias, c.ln_x_eps);
  return Linear(p, Mul(p, o, g), w.output);
}

Var Rwkv6::ChannelMix(Pass& p, const Layer& w, Var x) { return ChannelMix6(p, w.ffn, x); }

static_assert(Mixes<Rwkv6>);

}  // namespace linnet
