#include "models/state_parts.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "models/schema.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

// The rows that a layer keeps of the first `tokens` tokens.
void AddRows(const State& state, size_t layer, size_t tokens, std::vector<StatePart>& to) {
  const auto strides = StridesOf(state.shape());
  const TokenMemory& kept = state.past()->kept;
  const auto& slots = kept.layout()->slots();
  const size_t end = layer + 1 < strides.size() ? strides[layer + 1].kept : slots.size();
  for (size_t i = strides[layer].kept; i < end; ++i) {
    StatePart rows{slots[i].name, std::vector<float>(tokens * slots[i].width)};
    for (size_t t = 0; t < tokens; ++t) {
      std::memcpy(rows.values.data() + t * slots[i].width, kept.Row(i, t),
                  kept.layout()->row_bytes(i));
    }
    to.push_back(std::move(rows));
  }
}

PartDifference ComparePart(std::span<const float> a, std::span<const float> b) {
  PartDifference d;
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    // Written so that NaN is kept.
    if (!(difference <= d.absolute)) d.absolute = difference;
    if (std::isnan(d.absolute)) break;
    largest = std::max({largest, std::abs(double{a[i]}), std::abs(double{b[i]})});
  }
  d.relative = d.absolute == 0 ? 0 : d.absolute / largest;
  return d;
}

}  // namespace

std::vector<StatePart> StateParts(const State& state, size_t layer, size_t tokens, bool tuned) {
  const StateShape& s = state.shape();
  const std::map<std::string, std::string> reference = {
      {"att_shift", "att_x"}, {"wkv", "S"}, {"ffn_shift", "ffn_x"}};
  std::vector<StatePart> parts;
  size_t at = StridesOf(s)[layer].begin;
  for (const MemorySlot& slot : MemoryOf(s, layer)) {
    const auto values = state.values().subspan(at, slot.floats());
    at += slot.floats();
    if (tuned && slot.name != "wkv") continue;
    const auto name = reference.find(slot.name);
    parts.push_back(
        {name == reference.end() ? slot.name : name->second, {values.begin(), values.end()}});
  }
  if (state.past() != nullptr && !tuned) AddRows(state, layer, tokens, parts);
  return parts;
}

StateDifference Compare(const State& a, const State& b, bool tuned) {
  const size_t tokens = std::min(a.tokens(), b.tokens());
  StateDifference all;
  const auto keep = [](double& largest, double value) {
    if (!(value <= largest)) largest = std::isnan(largest) ? largest : value;
  };
  for (size_t layer = 0; layer < a.shape().layers; ++layer) {
    const auto x = StateParts(a, layer, tokens, tuned), y = StateParts(b, layer, tokens, tuned);
    auto& row = all.layers.emplace_back();
    for (size_t i = 0; i < x.size(); ++i) {
      const PartDifference d = ComparePart(x[i].values, y[i].values);
      row.emplace_back(x[i].name, d);
      keep(all.largest.absolute, d.absolute);
      keep(all.largest.relative, d.relative);
    }
  }
  return all;
}

bool SameStateSizes(const StateShape& a, const StateShape& b) {
  return a.generation == b.generation && a.layers == b.layers && a.width == b.width &&
         a.heads == b.heads && a.head_size == b.head_size && a.attention_from == b.attention_from &&
         a.cache == b.cache;
}

size_t SameTokens(const State& a, const State& b) {
  const size_t both = std::min(a.tokens(), b.tokens());
  size_t same = 0;
  while (same < both && a.past()->id(same) == b.past()->id(same)) ++same;
  return same;
}

}  // namespace linnet
