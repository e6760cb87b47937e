#include "models/rwkv7b.h"

#include "models/rows_to_finish.h"

namespace linnet {

Rwkv7bBlock::Embedded Rwkv7bBlock::BindEmbedded(BlockBinder& b, const std::string& letter) {
  const std::string name = "qkv." + letter;
  return {
      b.Matrix(name + "1"),         b.Matrix(name + "2"),        b.Matrix(name + "_emb_x.weight"),
      b.Rows(name + "_emb.weight"), b.Vector("qkv.x_" + letter), b.Norm("qkv.ln" + letter)};
}

Rwkv7bBlock::Rwkv7bBlock(BlockBinder& b)
    : ln1_(b.Norm("ln1")),
      ln2_(b.Norm("ln2")),
      w_(Rwkv7a::Bind(b)),
      query_(b.Matrix("qkv.qq.weight")),
      query_mix_(b.Vector("qkv.x_q")),
      query_norm_(b.Norm("qkv.lnq")),
      key_(BindEmbedded(b, "k")),
      value_(BindEmbedded(b, "v")) {}

Var Rwkv7bBlock::Run(Pass& p, const Config& c, Var x, Carry& carry) const {
  const auto norm = [&](const NormParam& ln) {
    return Norm(p, x, 1, ln.gain, ln.bias, c.norm_eps);
  };
  const Var attended = Attend(p, c, x, *carry.rows);
  const Var mixed = Rwkv7a::TimeMix(p, c, w_, norm(ln1_), carry);
  x = AddResidualInPlace(p, x, Dropout(p, Add(p, mixed, attended), 0));
  return AddResidualInPlace(p, x, Dropout(p, Rwkv7a::ChannelMix(p, w_, norm(ln2_)), 1));
}

Var Rwkv7bBlock::Attend(Pass& p, const Config& c, Var x, const RowsToFinish& rows) const {
  DeferredProducts products(p);
  const Var q1 = Linear(p, x, query_);
  const Var k1 = Linear(p, x, key_.first), v1 = Linear(p, x, value_.first);
  products.Run();
  const auto [q2] = ShiftedLerps(p, q1, ShiftOf::kQuery, MixFor(query_mix_));
  const Var q = Norm(p, q2, 1, query_norm_.gain, query_norm_.bias, c.norm_eps);

  const LayerStrides& slots = p.strides.layers[p.layer];
  const Var kept_k = rows.Keep(p, k1, slots.kept), kept_v = rows.Keep(p, v1, slots.kept + 1);
  Pass& r = rows.Over(p, kHead, x.cols());
  const auto finish = [&](const Embedded& w, Var row, Var own, ShiftOf which) {
    const Var scale = Add(r, GatherRows(r, w.table, rows.tokens()), own);
    const auto [shifted] = ShiftedLerps(r, Mul(r, row, scale), which, MixFor(w.mix));
    return Norm(r, shifted, 1, w.norm.gain, w.norm.bias, c.norm_eps);
  };
  DeferredProducts second(r);
  const Var k2 = Linear(r, kept_k, key_.second), v2 = Linear(r, kept_v, value_.second);
  const Var own_k = Linear(r, rows.embedding(), key_.of_embedding);
  const Var own_v = Linear(r, rows.embedding(), value_.of_embedding);
  second.Run();
  const Var k = finish(key_, k2, own_k, ShiftOf::kTimeMix);
  const Var v = finish(value_, TanhInPlace(r, v2), own_v, ShiftOf::kChannelMix);
  return rows.Attend(p, q, k, v, {.heads = 1, .scale = 1.0f / 16, .cap = 64}, slots.finished);
}

}  // namespace linnet
