// RWKV-7b: RWKV-7a, and beside each time mix one head of attention whose keys and values are scaled
// by tables of the tokens (DeepEmbed attention; BlinkDL's RWKV-v7/rwkv_v7b_demo.py).
#ifndef LINNET_MODELS_RWKV7B_H_
#define LINNET_MODELS_RWKV7B_H_

#include "models/block.h"
#include "models/rwkv7a.h"

namespace linnet {

class Rwkv7bBlock final : public Block {
 public:
  static constexpr size_t kHead = 256, kRank = 32;  // in the released model

  explicit Rwkv7bBlock(BlockBinder& b);
  Var Run(Pass& p, const Config& config, Var x, Carry& carry) const override;

 private:
  // second(f(first(x))) scaled by the token's row of `table` + of_embedding(E), then shifted.
  struct Embedded {
    LinearParam first, second, of_embedding;
    TableParam table;
    Var mix;
    NormParam norm;
  };

  static Embedded BindEmbedded(BlockBinder& b, const std::string& letter);
  Var Attend(Pass& p, const Config& config, Var x, const RowsToFinish& rows) const;

  NormParam ln1_, ln2_;
  Rwkv7a::Layer w_;
  LinearParam query_;
  Var query_mix_;
  NormParam query_norm_;
  Embedded key_, value_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_RWKV7B_H_
