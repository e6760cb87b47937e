// Block: one layer of a network. A network is a list of blocks, of one kind or of several.
#ifndef LINNET_MODELS_BLOCK_H_
#define LINNET_MODELS_BLOCK_H_

#include <memory>
#include <utility>

#include "linnet/config.h"
#include "models/binder.h"
#include "models/generation.h"
#include "ops/dropout.h"
#include "ops/ops.h"
#include "ops/pass.h"

namespace linnet {

// Immutable, so passes may overlap.
class Block {
 public:
  virtual ~Block() = default;

  // The residual stream after the layer p.layer, [rows, C]; x may be overwritten. Takes from
  // `carry` what earlier blocks of the pass have left there, and may leave something itself: then
  // the arena keeps all that the block has allocated.
  virtual Var Run(Pass& p, const Config& config, Var x, Carry& carry) const = 0;
};

// x += TimeMix(LN(x)); x += ChannelMix(LN(x)).
template <Mixes M>
class BlockOf final : public Block {
 public:
  explicit BlockOf(BlockBinder& b) : ln1_(b.Norm("ln1")), ln2_(b.Norm("ln2")), w_(M::Bind(b)) {}

  Var Run(Pass& p, const Config& c, Var x, Carry& carry) const override {
    const auto norm = [&](const NormParam& ln) {
      return Norm(p, x, 1, ln.gain, ln.bias, c.norm_eps);
    };
    x = AddResidualInPlace(p, x, Dropout(p, M::TimeMix(p, c, w_, norm(ln1_), carry), 0));
    return AddResidualInPlace(p, x, Dropout(p, M::ChannelMix(p, w_, norm(ln2_)), 1));
  }

 private:
  NormParam ln1_, ln2_;
  typename M::Layer w_;
};

template <class B>
std::unique_ptr<Block> Bind(BlockBinder& b) {
  return std::make_unique<B>(b);
}

}  // namespace linnet

#endif  // LINNET_MODELS_BLOCK_H_
