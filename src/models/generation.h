// The equations of a kind of layer. Its parameters and memory are its schema.
#ifndef LINNET_MODELS_GENERATION_H_
#define LINNET_MODELS_GENERATION_H_

#include <array>
#include <concepts>
#include <string>

#include "linnet/config.h"
#include "models/binder.h"
#include "ops/deferred_products.h"
#include "ops/ops.h"

namespace linnet {

class RowsToFinish;

// What layers hand on to later layers of the same pass; empty until a layer sets it.
struct Carry {
  Var v_first;  // v7: the values of layer 0, which later layers mix with their own
  // With attention, for all layers: the tokens whose keys and values the pass computes.
  const RowsToFinish* rows = nullptr;
  // GoldFinch, of those tokens: the decompressed keys, and the normalized embedding.
  Var cached_keys, cached_tokens;

  std::array<Var*, 3> vars() { return {&v_first, &cached_keys, &cached_tokens}; }
};

// Bind looks up parameters by the names that the schema lists; shapes and orientations are there.
template <class M>
concept Mixes = requires(BlockBinder& b, const Config& c, Pass& p, const typename M::Layer& w,
                         Var x, Carry& carry) {
  { M::Bind(b) } -> std::same_as<typename M::Layer>;
  { M::TimeMix(p, c, w, x, carry) } -> std::same_as<Var>;
  { M::ChannelMix(p, w, x) } -> std::same_as<Var>;
};

// v4 to v6 share one channel mix. The mixes of v4 and v5 are weights of the current token, v6's of
// the previous one.
struct ChannelMix456 {
  Var mix_k, mix_r;
  LinearParam key, receptance, value;
};

inline ChannelMix456 BindChannelMix(BlockBinder& b, const std::string& mix) {
  return {b.Vector("ffn." + mix + "k"), b.Vector("ffn." + mix + "r"), b.Matrix("ffn.key.weight"),
          b.Matrix("ffn.receptance.weight"), b.Matrix("ffn.value.weight")};
}

// The mixes [1, C] of the two products.
inline MixFor KeyMix(const ChannelMix456& w) { return MixFor(w.mix_k, w.key); }
inline MixFor ReceptanceMix(const ChannelMix456& w) { return MixFor(w.mix_r, w.receptance); }

// sigmoid(R x_r) * V relu(K x_k)²
inline Var GatedChannelMix(Pass& p, const ChannelMix456& w, Var x_k, Var x_r) {
  DeferredProducts products(p);
  const Var gate = Linear(p, x_r, w.receptance);
  const Var k = LinearReluSquared(p, x_k, w.key, w.value);
  products.Run();
  return Mul(p, SigmoidInPlace(p, gate), Linear(p, k, w.value));
}

}  // namespace linnet

#endif  // LINNET_MODELS_GENERATION_H_
