// The layers of RWKV-7a: RWKV-7 and DeepEmbed. No trainer of it is public; a new model computes
// what the RWKV-7 of the same values does, until it learns.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv7a.h"

namespace linnet {
namespace {

constexpr size_t kSide = 32;  // of a token's matrix, in the released models

}  // namespace

void AddRwkv7aParameters(BlockBuilder& b) {
  const size_t C = b.c.width, F = b.c.ffn, V = b.c.vocab, n = kSide * kSide;
  AddRwkv7Parameters(b);
  b.Add("ffn.s_emb.weight", {V, n}, ParameterRole::kTable, StartKind::kConstant, 0, 0, 0.2);
  b.Matrix("ffn.s_emb_x.weight", n, C, 0);
  b.Constant("ffn.s0", {1, 1, F}, 1, 1, 0.2);
  b.Factor("ffn.s1", {C, kSide}, StartKind::kOrthogonal, 0.1);
  b.Factor("ffn.s2", {kSide, F}, StartKind::kConstant, 0);
}

const BlockSchema kRwkv7aSchema = {.parameters = AddRwkv7aParameters,
                                   .memory = Rwkv7Memory,
                                   .ranks = Rwkv7Ranks(),
                                   .heads_from = "att.r_k",
                                   .heads_dimensions = 2,
                                   .reads_embedding = true,
                                   .bind = Bind<BlockOf<Rwkv7a>>};

}  // namespace linnet
