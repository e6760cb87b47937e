// The layers of RWKV-7 "Goose": values from generate_init_weight in RWKV-LM's RWKV-v7/train_temp.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv7.h"

namespace linnet {
namespace {

// `first` and `second` of x0 + second(f(first(x))).
void LowRank7(BlockBuilder& b, const std::string& letter) {
  const size_t C = b.c.width, A = b.c.att_width;
  const auto found = b.c.ranks.find(letter);
  // v's rank is not known for a model with one layer, which does not use it.
  const size_t rank = found != b.c.ranks.end() ? found->second : b.c.ranks.at("a");
  const auto others = [&](char part, const char* place) -> OtherNames {
    return {.gguf = "time_mix_" + letter + part + ".weight",
            .fla = "attn." + letter + "_lora.lora." + place};
  };
  ParameterSpec& first = b.Factor("att." + letter + "1", {C, rank}, StartKind::kConstant, 0);
  first.others = others('1', "0.weight");
  // If rank > C, the trainer increases the gain as v4's did.
  b.Factor("att." + letter + "2", {rank, A}, StartKind::kOrthogonal, 0.1 * Widening(rank, A))
      .others = others('2', "2.weight");
}

void TimeMix7(BlockBuilder& b) {
  const size_t A = b.c.att_width, N = b.c.head_size;
  const double q0 = b.q0(), q1 = b.q1();
  for (const auto& [letter, power] : std::initializer_list<std::pair<const char*, double>>{
           {"r", 0.2}, {"w", 0.9}, {"k", 0.7}, {"v", 0.7}, {"a", 0.9}, {"g", 0.2}}) {
    b.MixRest(std::string("att.x_") + letter, power * q1);
  }
  const auto linear = [A](size_t i) { return BlockBuilder::Fraction(i, A) - 0.5; };
  const auto zigzag = [N](size_t i) {  // from -1 to 1 within each head, flat in the middle
    const double z = 2 * BlockBuilder::Fraction(i % N, N) - 1;
    return N > 1 ? z * std::abs(z) : 0.0;
  };
  const auto channel = [&](const std::string& name, Curve curve, double center,
                           double spread) -> ParameterSpec& {
    ParameterSpec& p = b.Vector("att." + name, {1, 1, A}, std::move(curve), center, spread);
    p.others = {.gguf = "time_mix_" + name + ".weight"};
    if (name[1] == '0') p.others.fla = "attn." + name.substr(0, 1) + "_lora.lora.2.bias";
    return p;
  };
  LowRank7(b, "w");
  const double power = 1 + std::pow(q0, 0.3);
  channel(
      "w0",
      [=](size_t i) {
        return -6 + 6 * std::pow(BlockBuilder::Fraction(i, A), power) + 0.5 + 2.5 * zigzag(i);
      },
      -3, 3)
      .rate = 2;
  LowRank7(b, "a");
  channel(
      "a0", [=](size_t i) { return -0.19 + 0.3 * zigzag(i) + 0.4 * linear(i); }, -0.2, 0.5);
  const size_t value_mix = b.all.size();
  LowRank7(b, "v");
  channel(
      "v0", [=](size_t i) { return 0.73 - 0.4 * linear(i); }, 0.7, 0.2);
  // The first layer has no earlier value to mix with its own; trainers write these anyway.
  for (size_t i = value_mix; i < b.all.size(); ++i) b.all[i].unused = b.layer == 0;
  LowRank7(b, "g");
  channel(
      "k_k", [=](size_t i) { return 0.71 - 0.1 * linear(i); }, 0.7, 0.1);
  b.Constant("att.k_a", {1, 1, A}, 1.02, 1, 0.05).others = {.gguf = "time_mix_k_a.weight"};
  b.Constant("att.r_k", {b.c.heads, N}, -0.04, 0, 0.1).others = {.gguf = "time_mix_r_k.weight"};
  AddAttentionMatrices(b, false);
}

}  // namespace

void AddRwkv7Parameters(BlockBuilder& b) {
  const size_t C = b.c.width, F = b.c.ffn;
  TimeMix7(b);
  b.MixRest("ffn.x_k", std::pow(b.q1(), 4)).others = {.gguf = "channel_mix_lerp_k.weight"};
  b.Matrix("ffn.key.weight", F, C, 1).others = {.gguf = "channel_mix_key.weight"};
  b.Matrix("ffn.value.weight", C, F, 0).others = {.gguf = "channel_mix_value.weight"};
}

std::vector<MemorySlot> Rwkv7Memory(size_t width, size_t heads, size_t head_size) {
  return HeadsMemory(width, heads, head_size, /*transposed=*/true);
}

std::vector<RankSource> Rwkv7Ranks() {
  return {{"w", "att.w1"}, {"a", "att.a1"}, {"g", "att.g1"}, {"v", "att.v1", 1, 1}};
}

const BlockSchema kRwkv7Schema = {.parameters = AddRwkv7Parameters,
                                  .memory = Rwkv7Memory,
                                  .ranks = Rwkv7Ranks(),
                                  .heads_from = "att.r_k",
                                  .heads_dimensions = 2,
                                  .bind = Bind<BlockOf<Rwkv7>>};

}  // namespace linnet
