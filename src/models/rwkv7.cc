#include "models/rwkv7.h"

namespace linnet {

Rwkv7::Layer Rwkv7::Bind(BlockBinder& b) {
  const auto low_rank = [&](const char* letter, bool bias) {
    const std::string name = std::string("att.") + letter;
    LowRank w;
    if (bias) w.bias = b.Vector(name + "0");
    w.first = b.Matrix(name + "1");
    w.second = b.Matrix(name + "2");
    return w;
  };
  Layer w;
  w.is_first = b.layer() == 0;
  w.x_r = b.Vector("att.x_r");
  w.x_w = b.Vector("att.x_w");
  w.x_k = b.Vector("att.x_k");
  w.x_v = b.Vector("att.x_v");
  w.x_a = b.Vector("att.x_a");
  w.x_g = b.Vector("att.x_g");
  w.w = low_rank("w", true);
  w.a = low_rank("a", true);
  if (!w.is_first) w.v = low_rank("v", true);
  w.g = low_rank("g", false);
  w.k_k = b.Vector("att.k_k");
  w.k_a = b.Vector("att.k_a");
  w.r_k = b.Vector("att.r_k");
  w.receptance = b.Matrix("att.receptance.weight");
  w.key = b.Matrix("att.key.weight");
  w.value = b.Matrix("att.value.weight");
  w.output = b.Matrix("att.output.weight");
  w.ln_x = b.Norm("att.ln_x");
  w.ffn_x_k = b.Vector("ffn.x_k");
  w.ffn_key = b.Matrix("ffn.key.weight");
  w.ffn_value = b.Matrix("ffn.value.weight");
  return w;
}

Var Rwkv7::TimeMix(Pass& p, const Config& c, const Layer& l, Var x, Carry& carry) {
  const auto [x_r, x_w, x_k, x_v, x_a, x_g] = ShiftedLerps(
      p, x, ShiftOf::kTimeMix, MixFor(l.x_r, l.receptance), MixFor(l.x_w, l.w.first),
      MixFor(l.x_k, l.key), l.is_first ? MixFor(l.x_v, l.value) : MixFor(l.x_v, l.value, l.v.first),
      MixFor(l.x_a, l.a.first), MixFor(l.x_g, l.g.first));
  DeferredProducts first(p);
  const Var r = Linear(p, x_r, l.receptance), k = Linear(p, x_k, l.key);
  Var v = Linear(p, x_v, l.value), v1;
  const Var w1 = Linear(p, x_w, l.w.first), a1 = Linear(p, x_a, l.a.first);
  const Var g1 = Linear(p, x_g, l.g.first);
  if (!l.is_first) v1 = Linear(p, x_v, l.v.first);
  first.Run();
  DeferredProducts second(p);
  const Var w = LinearWkv7Decay(p, TanhInPlace(p, w1), l.w.second, l.w.bias);
  const Var a = LinearSigmoid(p, a1, l.a.second, l.a.bias);
  const Var g = Linear(p, SigmoidInPlace(p, g1), l.g.second);
  Var share;
  if (!l.is_first) share = LinearSigmoid(p, v1, l.v.second, l.v.bias);
  second.Run();
  if (l.is_first) {
    carry.v_first = v;
  } else {
    v = MixValueResidual(p, v, carry.v_first, share);
  }
  const auto [key, remove, replace] = MakeWkv7Keys(p, k, a, l.k_k, l.k_a, c.heads);
  const Var y = Wkv7(p, r, w, key, v, remove, replace, c.heads);
  const Var o = GatedOutput(p, {y, r, key, v, l.r_k, l.ln_x.gain, l.ln_x.bias, g}, c.heads,
                            c.ln_x_eps, &l.output);
  return Linear(p, o, l.output);
}

Var Rwkv7::ChannelMix(Pass& p, const Layer& l, Var x) {
  const auto [x_k] = ShiftedLerps(p, x, ShiftOf::kChannelMix, MixFor(l.ffn_x_k, l.ffn_key));
  return Linear(p, LinearReluSquared(p, x_k, l.ffn_key, l.ffn_value), l.ffn_value);
}

static_assert(Mixes<Rwkv7>);

}  // namespace linnet
