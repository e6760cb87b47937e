// The layers of Flock of Finches: RWKV-6, and experts beside its channel mix. The initial values
// are the trainer's: the experts add nothing, so a new model computes what the RWKV-6 of the same
// values does, until it learns.
#include "models/block.h"
#include "models/block_builder.h"
#include "models/rwkv6moe.h"

namespace linnet {
namespace {

void Parameters6Moe(BlockBuilder& b) {
  AddRwkv6Parameters(b);
  for (size_t expert = 0; expert < b.c.experts; ++expert) {
    const auto add = [&](const char* name, size_t out, size_t in, double gain) {
      b.Matrix(ExpertName(expert, name), out, in, gain).role = ParameterRole::kExpert;
    };
    add("ffn_key.weight", b.c.ffn, b.c.width, 1);
    add("ffn_value.weight", b.c.width, b.c.ffn, 0);
  }
}

}  // namespace

const BlockSchema kRwkv6MoeSchema = {.parameters = Parameters6Moe,
                                     .memory = Rwkv6Memory,
                                     .ranks = Rwkv6Ranks(),
                                     .heads_from = "att.time_faaaa",
                                     .heads_dimensions = 2,
                                     .bind = Bind<BlockOf<Rwkv6Moe>>};

}  // namespace linnet
