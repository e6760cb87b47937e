// The layers of RWKV-5.0, 5.1 and 5.2: values from generate_init_weight in RWKV-LM's RWKV-v5.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv5.h"

namespace linnet {
namespace {

void Decay5(BlockBuilder& b, std::vector<size_t> shape, size_t n, double lowest) {
  const double power = 0.7 + 1.3 * b.q0();
  b.Vector(
       "att.time_decay", std::move(shape),
       [=](size_t i) {
         return lowest - (1 + lowest) * std::pow(BlockBuilder::Fraction(i, n), power);
       },
       -3.5, 2.5)
      .rate = 2;
}

void Parameters5(BlockBuilder& b) {
  const size_t H = b.c.heads;
  const double q0 = b.q0(), q1 = b.q1();
  const bool gate = b.c.generation != Generation::k50;
  b.MixPower("att.time_mix_k", q1).others = {.hugging_face = "attention.time_mix_key"};
  b.MixPower("att.time_mix_v", q1, 0.3 * q0).others = {.hugging_face = "attention.time_mix_value"};
  b.MixPower("att.time_mix_r", 0.5 * q1).others = {.hugging_face = "attention.time_mix_receptance"};
  if (gate) {
    b.MixPower("att.time_mix_g", 0.5 * q1).others = {.hugging_face = "attention.time_mix_gate"};
  }
  if (b.c.generation == Generation::k52) {
    Decay5(b, {H, b.c.head_size}, b.c.att_width, -6);
    AddBonus(b);
  } else {
    // The trainer of 5.0 started its heads slower, from -8 to -1.
    Decay5(b, {H}, H, gate ? -6 : -8);
    ParameterSpec& first = b.Constant("att.time_first", {H}, -3, -3, 0.5);
    first.rate = 3;
    first.also = b.prefix + "att.time_faaaa";  // its exponential; 5.1 was released with both
  }
  AddAttentionMatrices(b, gate);
  b.MixPower("ffn.time_mix_k", q1).others = {.hugging_face = "feed_forward.time_mix_key"};
  b.MixPower("ffn.time_mix_r", q1).others = {.hugging_face = "feed_forward.time_mix_receptance"};
  AddGatedChannelMix(b, b.c.ffn);
}

std::vector<MemorySlot> Memory5(size_t width, size_t heads, size_t head_size) {
  return HeadsMemory(width, heads, head_size, /*transposed=*/false);
}

template <Generation G>
BlockSchema SchemaOf5() {
  return {.parameters = Parameters5,
          .memory = Memory5,
          .heads_from = "att.time_decay",
          .bind = Bind<BlockOf<Rwkv5<G>>>};
}

}  // namespace

const BlockSchema kRwkv50Schema = SchemaOf5<Generation::k50>();
const BlockSchema kRwkv51Schema = SchemaOf5<Generation::k51>();
const BlockSchema kRwkv52Schema = SchemaOf5<Generation::k52>();

}  // namespace linnet
