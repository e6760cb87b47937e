#include "models/goldfinch.h"

#include <cmath>
#include <string>

#include "models/rows_to_finish.h"

namespace linnet {
namespace {

// ln_x normalizes the whole row, not each head.
Var NormRows(Pass& p, const Config& c, Var x, const NormParam& ln) {
  return Norm(p, x, 1, ln.gain, ln.bias, c.norm_eps);
}

// second(tanh(first(x)))
Var LowRank(Pass& p, Var x, const LinearParam& first, const LinearParam& second) {
  return Linear(p, TanhInPlace(p, Linear(p, x, first)), second);
}

}  // namespace

FinchC2::Layer FinchC2::Bind(BlockBinder& b) {
  Layer w;
  w.mixes = DynamicMixes::Bind(b, {"r", "k", "v", "w", "v2"});
  w.decay = b.Vector("att.time_decay");
  w.decay_w1 = b.Matrix("att.time_decay_w1");
  w.decay_w2 = b.Matrix("att.time_decay_w2");
  w.value2_w1 = b.Matrix("att.time_value2_w1");
  w.value2_w2 = b.Matrix("att.time_value2_w2");
  w.receptance = b.Matrix("att.receptance.weight");
  w.key = b.Matrix("att.key.weight");
  w.value = b.Matrix("att.value.weight");
  w.output = b.Matrix("att.output.weight");
  w.ln_x = b.Norm("att.ln_x");
  w.ffn = BindChannelMix(b, "time_maa_");
  return w;
}

Var FinchC2::TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry&) {
  const auto [x_r, x_k, x_v, x_w, x_v2] = w.mixes.Of(p, x);
  DeferredProducts products(p);
  const Var r = Linear(p, x_r, w.receptance), k = Linear(p, x_k, w.key);
  const Var w1 = Linear(p, x_w, w.decay_w1), v2 = Linear(p, x_v2, w.value2_w1);
  products.Run();
  const auto [v, same] = LinearOfBoth(p, x_v, x_v2, w.value);
  const Var dynamic = Linear(p, TanhInPlace(p, w1), w.decay_w2);
  const Var decay = ExpNegExp(p, AddBiasInPlace(p, dynamic, w.decay));
  const Var second = Add(p, same, Linear(p, TanhInPlace(p, v2), w.value2_w2));
  Var no_bonus{p.New(1, x.cols()).v, {}};
  std::fill_n(no_bonus.v.data, no_bonus.cols(), 0.0f);
  const Var y = Wkv6(p, r, decay, Mul(p, k, OneMinus(p, decay)), v, no_bonus, c.heads);
  return Linear(p, NormRows(p, c, Add(p, y, second), w.ln_x), w.output);
}

Var FinchC2::ChannelMix(Pass& p, const Layer& w, Var x) { return ChannelMix6(p, w.ffn, x); }

static_assert(Mixes<FinchC2>);

GoldBlock::Refined GoldBlock::BindRefined(BlockBinder& b, const std::string& name) {
  return {b.Matrix("att.time_" + name + "_w1"), b.Matrix("att.time_" + name + "_w2"),
          b.Norm("att.ln_" + name.substr(0, 1))};
}

GoldBlock::GoldBlock(BlockBinder& b)
    : is_first_(b.layer() == b.config().attention_from),
      ln1_(b.Norm("ln1")),
      ln2_(b.Norm("ln2")),
      maa_x_(b.Vector("att.time_maa_x")),
      maa_q_(b.Vector("att.time_maa_q")),
      maa_v_cache_(b.Vector("att.time_maa_v_cache")),
      maa_k_(b.Vector("att.time_maa_k")),
      maa_v_(b.Vector("att.time_maa_v")),
      q_w1_(b.Matrix("att.time_maa_q_w1")),
      q_w2_(b.Matrix("att.time_maa_q_w2")),
      kv_w1_(b.Matrix("att.time_maa_kv_w1")),
      kv_w2_{b.Slice("att.time_maa_kv_w2", 0), b.Slice("att.time_maa_kv_w2", 1)},
      key_(BindRefined(b, "key")),
      value_(BindRefined(b, "value")),
      query_(b.Matrix("att.query.weight")),
      output_(b.Matrix("att.output.weight")),
      ln_q_(b.Norm("att.ln_q")),
      ln_x_(b.Norm("att.ln_x")),
      ffn_(BindChannelMix(b, "time_maa_")) {
  if (!is_first_) return;
  compress_ = b.ModelMatrix("w_kv_cache_a.weight");
  decompress_ = b.ModelMatrix("w_kv_cache_b.weight");
}

Var GoldBlock::Run(Pass& p, const Config& c, Var x, Carry& carry) const {
  if (is_first_) Cache(p, x, carry);
  const Var attended = Attend(p, c, NormRows(p, c, x, ln1_), carry);
  x = AddResidualInPlace(p, x, Dropout(p, attended, 0));
  return AddResidualInPlace(p, x, Dropout(p, ChannelMix6(p, ffn_, NormRows(p, c, x, ln2_)), 1));
}

void GoldBlock::Cache(Pass& p, Var x, Carry& carry) const {
  const RowsToFinish& rows = *carry.rows;
  const Var kept = rows.Keep(p, Linear(p, x, compress_), p.strides.layers[p.layer].kept);
  Pass& r = rows.Over(p, x.cols(), x.cols());
  const Var keys = Linear(r, Concatenate(r, rows.embedding(), kept), decompress_);
  carry.cached_keys = NormalizeRms(r, keys);
  carry.cached_tokens = NormalizeRms(r, rows.embedding());
}

Var GoldBlock::Refine(Pass& p, const Config& c, const Refined& w, Var x) {
  return NormRows(p, c, Add(p, x, LowRank(p, x, w.first, w.second)), w.norm);
}

Var GoldBlock::Attend(Pass& p, const Config& c, Var x, const Carry& carry) const {
  const Var d = Shift(p, x, ShiftOf::kTimeMix);
  const Var z = Lerp(p, x, d, Broadcast(maa_x_, x.rows()));
  const Var mix_q = AddBiasInPlace(p, LowRank(p, z, q_w1_, q_w2_), maa_q_);
  const Var q = NormRows(p, c, Linear(p, Lerp(p, x, d, mix_q), query_), ln_q_);

  const RowsToFinish& rows = *carry.rows;
  Pass& r = rows.Over(p, x.cols(), x.cols());
  const Var tokens = carry.cached_tokens, keys = carry.cached_keys;
  const Var d_tokens = Shift(r, tokens, ShiftOf::kTimeMix);
  const Var d_keys = Shift(r, keys, ShiftOf::kChannelMix);
  const Var y = Lerp(r, tokens, d_tokens, Broadcast(maa_v_cache_, tokens.rows()));
  const Var m = TanhInPlace(r, Linear(r, y, kv_w1_));
  const size_t rank = m.cols() / 2;
  const auto mix = [&](size_t i, Var bias) {
    return AddBiasInPlace(r, Linear(r, Columns(m, i * rank, rank), kv_w2_[i]), bias);
  };
  const Var k = Refine(r, c, key_, Lerp(r, keys, d_keys, mix(0, maa_k_)));
  const Var v = Refine(r, c, value_, Lerp(r, tokens, d_tokens, mix(1, maa_v_)));
  const AttentionShape shape = {.heads = c.heads,
                                .scale = 1 / std::sqrt(static_cast<float>(c.head_size))};
  const Var o = rows.Attend(p, q, k, v, shape, p.strides.layers[p.layer].finished);
  return Linear(p, NormRows(p, c, o, ln_x_), output_);
}

}  // namespace linnet
