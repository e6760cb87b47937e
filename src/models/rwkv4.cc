#include "models/rwkv4.h"

namespace linnet {

Rwkv4::Layer Rwkv4::Bind(BlockBinder& b) {
  Layer w;
  w.mix_k = b.Vector("att.time_mix_k");
  w.mix_v = b.Vector("att.time_mix_v");
  w.mix_r = b.Vector("att.time_mix_r");
  w.decay = b.Vector("att.time_decay");
  w.first = b.Vector("att.time_first");
  w.key = b.Matrix("att.key.weight");
  w.value = b.Matrix("att.value.weight");
  w.receptance = b.Matrix("att.receptance.weight");
  w.output = b.Matrix("att.output.weight");
  w.ffn = BindChannelMix(b, "time_mix_");
  return w;
}

Var Rwkv4::TimeMix(Pass& p, const Config&, const Layer& w, Var x, Carry&) {
  const auto [x_k, x_v, x_r] =
      LerpsFromPrevious(p, x, ShiftOf::kTimeMix, MixFor(w.mix_k, w.key), MixFor(w.mix_v, w.value),
                        MixFor(w.mix_r, w.receptance));
  DeferredProducts products(p);
  const Var k = Linear(p, x_k, w.key), v = Linear(p, x_v, w.value);
  const Var gate = Linear(p, x_r, w.receptance);
  products.Run();
  const Var r = SigmoidInPlace(p, gate);
  return Linear(p, Mul(p, r, Wkv4(p, w.decay, w.first, k, v)), w.output);
}

Var Rwkv4::ChannelMix(Pass& p, const Layer& w, Var x) {
  const auto [x_k, x_r] =
      LerpsFromPrevious(p, x, ShiftOf::kChannelMix, KeyMix(w.ffn), ReceptanceMix(w.ffn));
  return GatedChannelMix(p, w.ffn, x_k, x_r);
}

static_assert(Mixes<Rwkv4>);

}  // namespace linnet
