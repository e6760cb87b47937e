// The layers of RWKV-4: values from generate_init_weight in RWKV-LM's RWKV-v4neo.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv4.h"

namespace linnet {
namespace {

void TimeMixParameters(BlockBuilder& b) {
  const size_t C = b.c.width, A = b.c.att_width;
  const double q0 = b.q0(), q1 = b.q1();
  b.Vector(
       "att.time_decay", {A},
       [=](size_t i) { return -5 + 8 * std::pow(BlockBuilder::Fraction(i, A), 0.7 + 1.3 * q0); },
       -1, 4)
      .rate = 2;
  b.Vector(
       "att.time_first", {A}, [](size_t i) { return std::log(0.3) + 0.5 * ZigZag3(i); }, -1.2, 0.5)
      .rate = 3;
  b.MixPower("att.time_mix_k", q1).others = {.hugging_face = "attention.time_mix_key"};
  b.MixPower("att.time_mix_v", q1, 0.3 * q0).others = {.hugging_face = "attention.time_mix_value"};
  b.MixPower("att.time_mix_r", 0.5 * q1).others = {.hugging_face = "attention.time_mix_receptance"};
  b.Matrix("att.key.weight", A, C, 0);
  b.Matrix("att.value.weight", A, C, 1);
  b.Matrix("att.receptance.weight", A, C, 0);
  b.Matrix("att.output.weight", C, A, 0);
}

void Parameters4(BlockBuilder& b) {
  const size_t C = b.c.width, F = b.c.ffn;
  const double q1 = b.q1();
  TimeMixParameters(b);
  b.MixPower("ffn.time_mix_k", q1).others = {.hugging_face = "feed_forward.time_mix_key"};
  b.MixPower("ffn.time_mix_r", q1).others = {.hugging_face = "feed_forward.time_mix_receptance"};
  b.Matrix("ffn.key.weight", F, C, Widening(F, C));
  b.Matrix("ffn.receptance.weight", C, C, 0);
  b.Matrix("ffn.value.weight", C, F, 0);
}

std::vector<MemorySlot> Memory4(size_t width, size_t heads, size_t head_size) {
  constexpr float kNoExponent = -1e30f;  // pp at the start (rwkv.cpp, ChatRWKV)
  const size_t A = heads * head_size;
  return {{"att_shift", {width}, &LayerStrides::att_shift},
          {.name = "aa", .shape = {A}},
          {.name = "bb", .shape = {A}},
          {.name = "pp", .shape = {A}, .first = kNoExponent},
          {"ffn_shift", {width}, &LayerStrides::ffn_shift}};
}

}  // namespace

const BlockSchema kRwkv4Schema = {
    .parameters = Parameters4, .memory = Memory4, .bind = Bind<BlockOf<Rwkv4>>};

}  // namespace linnet
