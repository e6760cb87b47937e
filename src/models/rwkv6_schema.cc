// The layers of RWKV-6 "Finch": values from generate_init_weight in RWKV-LM's RWKV-v5.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv6.h"

namespace linnet {

void AddRwkv6Parameters(BlockBuilder& b) {
  const size_t C = b.c.width, A = b.c.att_width;
  const size_t mix = b.c.ranks.at("mix"), decay = b.c.ranks.at("decay");
  const double q0 = b.q0(), q1 = b.q1();
  const auto maa = [&](const std::string& letter, double power, double offset) {
    b.MixRest("att.time_maa_" + letter, power, offset).others = {
        .gguf = "time_mix_lerp_" + letter + ".weight", .web_rwkv = "att.time_mix_" + letter};
  };
  maa("x", q1, 0);
  maa("w", q1, 0);
  maa("k", q1, 0);
  maa("v", q1, 0.3 * q0);
  maa("r", 0.5 * q1, 0);
  maa("g", 0.5 * q1, 0);
  b.Factor("att.time_maa_w1", {C, 5 * mix}, StartKind::kConstant, 0).others = {
      .gguf = "time_mix_w1.weight", .web_rwkv = "att.time_mix_w1"};
  b.Factor("att.time_maa_w2", {5, mix, C}, StartKind::kUniform, 0.01).others = {
      .gguf = "time_mix_w2.weight", .web_rwkv = "att.time_mix_w2"};
  const double power = 0.7 + 1.3 * q0;
  ParameterSpec& slow = b.Vector(
      "att.time_decay", {1, 1, A},
      [=](size_t i) { return -6 + 5 * std::pow(BlockBuilder::Fraction(i, A), power); }, -3.5, 2.5);
  slow.rate = 2;
  slow.others = {.gguf = "time_mix_decay.weight"};
  b.Factor("att.time_decay_w1", {C, decay}, StartKind::kConstant, 0).others = {
      .gguf = "time_mix_decay_w1.weight"};
  b.Factor("att.time_decay_w2", {decay, A}, StartKind::kUniform, 0.01).others = {
      .gguf = "time_mix_decay_w2.weight"};
  AddBonus(b);
  AddAttentionMatrices(b, true);
  const double cube = std::pow(q1, 3);
  b.MixRest("ffn.time_maa_k", cube).others = {.gguf = "channel_mix_lerp_k.weight",
                                              .web_rwkv = "ffn.time_mix_k"};
  b.MixRest("ffn.time_maa_r", cube).others = {.gguf = "channel_mix_lerp_r.weight",
                                              .web_rwkv = "ffn.time_mix_r"};
  AddGatedChannelMix(b, b.c.ffn);
}

std::vector<RankSource> Rwkv6Ranks() {
  return {{"mix", "att.time_maa_w1", 5}, {"decay", "att.time_decay_w1"}};
}

std::vector<MemorySlot> Rwkv6Memory(size_t width, size_t heads, size_t head_size) {
  return HeadsMemory(width, heads, head_size, /*transposed=*/false);
}

const BlockSchema kRwkv6Schema = {.parameters = AddRwkv6Parameters,
                                  .memory = Rwkv6Memory,
                                  .ranks = Rwkv6Ranks(),
                                  .heads_from = "att.time_faaaa",
                                  .heads_dimensions = 2,
                                  .bind = Bind<BlockOf<Rwkv6>>};

}  // namespace linnet
