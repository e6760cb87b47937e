// The layers of GoldFinch: values from its paper's code (src/model.py).
#include "models/block.h"
#include "models/block_builder.h"
#include "models/goldfinch.h"

namespace linnet {
namespace {

void Low(BlockBuilder& b, const std::string& name, size_t rank) {
  const size_t C = b.c.width;
  b.Factor("att.time_" + name + "_w1", {C, rank}, StartKind::kConstant, 0);
  b.Factor("att.time_" + name + "_w2", {rank, C}, StartKind::kUniform, 0.01);
}

void FeedForward(BlockBuilder& b) {
  b.MixRest("ffn.time_maa_k", b.q1());
  b.MixRest("ffn.time_maa_r", b.q1());
  AddGatedChannelMix(b, b.c.ffn);
}

void NormOfOutputs(BlockBuilder& b) {
  const double depth = static_cast<double>(b.layer + 1) / static_cast<double>(b.c.layers);
  b.Norm("att.ln_x", b.c.width, std::pow(depth, 0.7));
}

void ParametersC2(BlockBuilder& b) {
  const size_t C = b.c.width, mix = b.c.ranks.at("mix");
  const double q0 = b.q0(), q1 = b.q1();
  b.MixRest("att.time_maa_x", q1);
  b.MixRest("att.time_maa_r", 0.5 * q1);
  b.MixRest("att.time_maa_k", q1);
  b.MixRest("att.time_maa_v", q1, 0.3 * q0);
  b.MixRest("att.time_maa_w", q1);
  b.MixRest("att.time_maa_v2", q1, 0.3 * q0);
  b.Factor("att.time_maa_w2", {5, mix, C}, StartKind::kUniform, 0.01);
  b.Factor("att.time_maa_w1", {C, 5 * mix}, StartKind::kConstant, 0);
  const double power = 0.7 + 1.3 * q0;
  b.Vector(
       "att.time_decay", {1, 1, C},
       [=](size_t i) { return -6 + 5 * std::pow(BlockBuilder::Fraction(i, C), power); }, -3.5, 2.5)
      .rate = 2;
  Low(b, "decay", b.c.ranks.at("decay"));
  Low(b, "value2", b.c.ranks.at("value2"));
  AddBonus(b);  // in the files, but the bonus is 0
  b.all.back().idle = true;
  b.Matrix("att.receptance.weight", C, C, 1);
  b.Matrix("att.key.weight", C, C, 0.1);
  b.Matrix("att.value.weight", C, C, 1);
  b.Matrix("att.output.weight", C, C, 0);
  NormOfOutputs(b);
  FeedForward(b);
}

void ParametersGold(BlockBuilder& b) {
  const size_t C = b.c.width, kv = b.c.ranks.at("kv");
  const double q0 = b.q0(), q1 = b.q1();
  b.MixRest("att.time_maa_x", q1);
  b.MixRest("att.time_maa_q", 0.5 * q1);
  b.MixRest("att.time_maa_v_cache", q1);
  b.MixRest("att.time_maa_k", q1);
  b.MixRest("att.time_maa_v", q1, 0.3 * q0);
  Low(b, "maa_q", b.c.ranks.at("query"));
  b.Factor("att.time_maa_kv_w1", {C, 2 * kv}, StartKind::kConstant, 0);
  b.Factor("att.time_maa_kv_w2", {2, kv, C}, StartKind::kUniform, 0.01);
  Low(b, "key", b.c.ranks.at("key"));
  Low(b, "value", b.c.ranks.at("value"));
  b.Matrix("att.query.weight", C, C, 1);
  b.Matrix("att.output.weight", C, C, 0);
  for (const char* norm : {"att.ln_q", "att.ln_k", "att.ln_v"}) b.Norm(norm, C);
  NormOfOutputs(b);
  FeedForward(b);
}

void ParametersOfTheCache(BlockBuilder& b) {
  const size_t C = b.c.width, cache = b.c.ranks.at("cache");
  b.Matrix("w_kv_cache_a.weight", cache, C, 1);
  b.Matrix("w_kv_cache_b.weight", C, C + cache, 1);
}

std::vector<MemorySlot> MemoryC2(size_t width, size_t heads, size_t head_size) {
  return HeadsMemory(width, heads, head_size, /*transposed=*/false);
}

std::vector<MemorySlot> MemoryGold(size_t width, size_t /*heads*/, size_t /*head_size*/) {
  return {{"att_shift", {width}, &LayerStrides::att_shift},
          {"ffn_shift", {width}, &LayerStrides::ffn_shift}};
}

// The keys of all layers follow from one row.
std::vector<RowSlot> KeptGold(const StateShape& shape, size_t layer) {
  if (layer != shape.attention_from) return {};
  return {{"cache", shape.cache}};
}

std::vector<RowSlot> FinishedGold(const StateShape& shape, size_t /*layer*/) {
  return {{"key", shape.width, FinishedType(shape)}, {"value", shape.width, FinishedType(shape)}};
}

const BlockSchema kGoldSchema = {.parameters = ParametersGold,
                                 .memory = MemoryGold,
                                 .kept = KeptGold,
                                 .finished = FinishedGold,
                                 .ranks = {{"query", "att.time_maa_q_w1"},
                                           {"kv", "att.time_maa_kv_w1", 2},
                                           {"key", "att.time_key_w1"},
                                           {"value", "att.time_value_w1"}},
                                 .bind = Bind<GoldBlock>};

}  // namespace

const BlockSchema kGoldFinchSchema = {.parameters = ParametersC2,
                                      .memory = MemoryC2,
                                      .ranks = {{"mix", "att.time_maa_w1", 5},
                                                {"decay", "att.time_decay_w1"},
                                                {"value2", "att.time_value2_w1"}},
                                      .heads_from = "att.time_faaaa",
                                      .heads_dimensions = 2,
                                      .reads_embedding = true,
                                      .bind = Bind<BlockOf<FinchC2>>,
                                      .attention = &kGoldSchema,
                                      .model = ParametersOfTheCache};

}  // namespace linnet
