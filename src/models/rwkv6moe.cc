#include "models/rwkv6moe.h"

#include <vector>

namespace linnet {
namespace {

// The rows of x that one expert gets.
Var RowsOf(Pass& p, Var x, const ExpertRows& group) {
  return group.rows.size() == x.rows() ? x : TakeRows(p, x, group.rows);
}

// Adds the experts' results to those of the shared matrices: all products of a kind in one loop.
Var ShareAndExperts(Pass& p, const Rwkv6Moe::Layer& l, Var x_k, Var x_r, Var& gate,
                    std::span<const ExpertRows> groups) {
  const ChannelMix456& shared = l.rwkv6.ffn;
  std::vector<Var> k(groups.size()), v(groups.size());
  DeferredProducts first(p);
  gate = Linear(p, x_r, shared.receptance);
  const Var k_shared = LinearReluSquared(p, x_k, shared.key, shared.value);
  for (size_t i = 0; i < groups.size(); ++i) {
    const RowsScope scope(p, groups[i].rows);
    const size_t expert = groups[i].expert;
    k[i] = LinearReluSquared(p, RowsOf(p, x_k, groups[i]), l.key.matrices[expert].matrix,
                             l.value.matrices[expert].matrix);
  }
  first.Run();
  DeferredProducts second(p);
  const Var sum = Linear(p, k_shared, shared.value);
  for (size_t i = 0; i < groups.size(); ++i) {
    const RowsScope scope(p, groups[i].rows);
    v[i] = Linear(p, k[i], l.value.matrices[groups[i].expert].matrix);
  }
  second.Run();
  for (size_t i = 0; i < groups.size(); ++i) AddToRowsInPlace(p, sum, v[i], groups[i].rows);
  return sum;
}

// The same with one matrix after another, so that only one of them must be in memory.
Var ShareThenExperts(Pass& p, const Rwkv6Moe::Layer& l, Var x_k, Var x_r, Var& gate,
                     std::span<const ExpertRows> groups) {
  const ChannelMix456& shared = l.rwkv6.ffn;
  DeferredProducts products(p);
  gate = Linear(p, x_r, shared.receptance);
  const Var k_shared = LinearReluSquared(p, x_k, shared.key, shared.value);
  products.Run();
  const Var sum = Linear(p, k_shared, shared.value);
  for (const ExpertRows& group : groups) {
    const Arena::Scope scope(p.arena);
    const RowsScope rows(p, group.rows);
    const Var k = [&] {
      const ExpertLease key(p, l.key, group.expert);
      return LinearReluSquared(p, RowsOf(p, x_k, group), key.matrix(),
                               l.value.matrices[group.expert].matrix);
    }();
    const ExpertLease value(p, l.value, group.expert);
    AddToRowsInPlace(p, sum, Linear(p, k, value.matrix()), group.rows);
  }
  return sum;
}

}  // namespace

Rwkv6Moe::Layer Rwkv6Moe::Bind(BlockBinder& b) {
  return {Rwkv6::Bind(b), b.Experts("ffn_key.weight"), b.Experts("ffn_value.weight")};
}

Var Rwkv6Moe::TimeMix(Pass& p, const Config& c, const Layer& l, Var x, Carry& carry) {
  // A single token's experts are needed so soon that their pages need no request.
  if (p.tokens.size() > 1) l.key.store->Request(p.tokens, p.layer);
  return Rwkv6::TimeMix(p, c, l.rwkv6, x, carry);
}

Var Rwkv6Moe::ChannelMix(Pass& p, const Layer& l, Var x) {
  const ChannelMix456& shared = l.rwkv6.ffn;
  // The experts' rows are taken from x_k as f32.
  const auto [x_k, x_r] =
      ShiftedLerps(p, x, ShiftOf::kChannelMix, MixFor(shared.mix_k), ReceptanceMix(shared));
  const auto groups = RowsByExpert(p.tokens, p.layer, l.key.matrices.size());
  const bool ready = l.key.ready() && l.value.ready();
  Var gate;
  const Var sum = (ready ? ShareAndExperts : ShareThenExperts)(p, l, x_k, x_r, gate, groups);
  return Mul(p, SigmoidInPlace(p, gate), sum);
}

static_assert(Mixes<Rwkv6Moe>);

}  // namespace linnet
