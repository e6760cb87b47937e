// GoldFinch (arXiv:2407.12077): RWKV-6 without gates (Finch-C2), then layers of attention (GOLD)
// that share keys compressed to C/16 values a token (TokenCat).
#ifndef LINNET_MODELS_GOLDFINCH_H_
#define LINNET_MODELS_GOLDFINCH_H_

#include <array>

#include "models/block.h"
#include "models/rwkv6.h"

namespace linnet {

struct FinchC2 {
  struct Layer {
    DynamicMixes mixes;  // of r, k, v, w and the second value
    Var decay;
    LinearParam decay_w1, decay_w2, value2_w1, value2_w2;
    LinearParam receptance, key, value, output;
    NormParam ln_x;
    ChannelMix456 ffn;
  };

  static Layer Bind(BlockBinder& b);
  static Var TimeMix(Pass& p, const Config& c, const Layer& w, Var x, Carry& carry);
  static Var ChannelMix(Pass& p, const Layer& w, Var x);
};

class GoldBlock final : public Block {
 public:
  explicit GoldBlock(BlockBinder& b);
  Var Run(Pass& p, const Config& config, Var x, Carry& carry) const override;

 private:
  // x + second(tanh(first(x))), normalized: the keys or values of one layer.
  struct Refined {
    LinearParam first, second;
    NormParam norm;
  };

  static Refined BindRefined(BlockBinder& b, const std::string& name);
  static Var Refine(Pass& p, const Config& config, const Refined& w, Var x);
  // The first of these layers compresses its input, and decompresses the keys for all.
  void Cache(Pass& p, Var x, Carry& carry) const;
  Var Attend(Pass& p, const Config& config, Var x, const Carry& carry) const;

  bool is_first_;
  NormParam ln1_, ln2_;
  Var maa_x_, maa_q_, maa_v_cache_, maa_k_, maa_v_;
  LinearParam q_w1_, q_w2_, kv_w1_;
  std::array<LinearParam, 2> kv_w2_;
  Refined key_, value_;
  LinearParam query_, output_;
  NormParam ln_q_, ln_x_;
  ChannelMix456 ffn_;
  LinearParam compress_, decompress_;  // of the first
};

}  // namespace linnet

#endif  // LINNET_MODELS_GOLDFINCH_H_
