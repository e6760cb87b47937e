// The layers of RWKV-7b: RWKV-7a and one head of attention. No trainer of it is public; a new model
// starts as RWKV-7a does, with an attention that adds nothing: the norm of its values is 0.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv7b.h"

namespace linnet {
namespace {

constexpr size_t kHead = Rwkv7bBlock::kHead, kRank = Rwkv7bBlock::kRank;

void Parameters7b(BlockBuilder& b) {
  const size_t C = b.c.width, V = b.c.vocab;
  AddRwkv7aParameters(b);
  b.Matrix("qkv.qq.weight", kHead, C, 1);
  for (const auto& [letter, width] :
       std::initializer_list<std::pair<std::string, size_t>>{{"k", kHead}, {"v", C}}) {
    const std::string name = "qkv." + letter;
    b.Factor(name + "1", {C, kRank}, StartKind::kOrthogonal, 1);
    b.Factor(name + "2", {kRank, width}, StartKind::kOrthogonal, 1);
    b.Add(name + "_emb.weight", {V, width}, ParameterRole::kTable, StartKind::kConstant, 1, 0, 0.5);
    b.Matrix(name + "_emb_x.weight", width, C, 0);
  }
  for (const auto& [letter, width, gain] :
       std::initializer_list<std::tuple<std::string, size_t, double>>{
           {"q", kHead, 1}, {"k", kHead, 1}, {"v", C, 0}}) {
    b.Constant("qkv.x_" + letter, {1, 1, width}, 0.5, 0.5, 0.45);
    b.Norm("qkv.ln" + letter, width, gain);
  }
}

std::vector<MemorySlot> Memory7b(size_t width, size_t heads, size_t head_size) {
  auto slots = Rwkv7Memory(width, heads, head_size);
  slots.push_back({"query_shift", {kHead}, &LayerStrides::query_shift});
  return slots;
}

std::vector<RowSlot> Kept7b(const StateShape& /*shape*/, size_t /*layer*/) {
  return {{"key_low", kRank}, {"value_low", kRank}};
}

std::vector<RowSlot> Finished7b(const StateShape& shape, size_t /*layer*/) {
  return {{"key", kHead, FinishedType(shape)}, {"value", shape.width, FinishedType(shape)}};
}

}  // namespace

const BlockSchema kRwkv7bSchema = {.parameters = Parameters7b,
                                   .memory = Memory7b,
                                   .kept = Kept7b,
                                   .finished = Finished7b,
                                   .reference_layers = 12,
                                   .ranks = Rwkv7Ranks(),
                                   .heads_from = "att.r_k",
                                   .heads_dimensions = 2,
                                   .reads_embedding = true,
                                   .bind = Bind<Rwkv7bBlock>};

}  // namespace linnet
