#include "models/rwkv7a.h"

namespace linnet {

Rwkv7a::Layer Rwkv7a::Bind(BlockBinder& b) {
  return {Rwkv7::Bind(b),
          {b.Rows("ffn.s_emb.weight"), b.Matrix("ffn.s_emb_x.weight"), b.Matrix("ffn.s1"),
           b.Matrix("ffn.s2"), b.Vector("ffn.s0")}};
}

Var Rwkv7a::TimeMix(Pass& p, const Config& c, const Layer& l, Var x, Carry& carry) {
  return Rwkv7::TimeMix(p, c, l.rwkv7, x, carry);
}

Var Rwkv7a::ChannelMix(Pass& p, const Layer& l, Var x) {
  const DeepEmbed& deep = l.deep;
  const auto [x_k] =
      ShiftedLerps(p, x, ShiftOf::kChannelMix, MixFor(l.rwkv7.ffn_x_k, l.rwkv7.ffn_key));
  DeferredProducts products(p);
  const Var k = Linear(p, x_k, l.rwkv7.ffn_key), s = Linear(p, x, deep.down);
  const Var own = Linear(p, p.embedding, deep.of_embedding);
  products.Run();
  const Var matrices = Add(p, GatherRows(p, deep.matrices, p.tokens), own);
  const Var scale =
      AddBiasInPlace(p, Linear(p, TimesOwnMatrix(p, s, matrices), deep.up), deep.bias);
  return Linear(p, Mul(p, ReluSquaredInPlace(p, k), scale), l.rwkv7.ffn_value);
}

static_assert(Mixes<Rwkv7a>);

}  // namespace linnet
