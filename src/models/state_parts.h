// The parts of a state by name, and how two states differ.
#ifndef LINNET_MODELS_STATE_PARTS_H_
#define LINNET_MODELS_STATE_PARTS_H_

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "linnet/state.h"

namespace linnet {

struct StatePart {
  std::string name;
  std::vector<float> values;
};

// What a layer keeps, with the reference's names: att_x, S (or aa, bb, pp), ffn_x; with attention
// also the rows of the first `tokens` tokens, of which there must be so many. `tuned`: S only.
std::vector<StatePart> StateParts(const State& state, size_t layer, size_t tokens, bool tuned);

struct PartDifference {
  double absolute = 0;  // the largest; NaN if any value is NaN
  double relative = 0;  // relative to the largest entry of both
};

struct StateDifference {
  std::vector<std::vector<std::pair<std::string, PartDifference>>> layers;
  PartDifference largest;  // the largest of each kind
};

// Of two states of the same sizes. Rows per token are compared up to the shorter text. `tuned`: S
// only.
StateDifference Compare(const State& a, const State& b, bool tuned);

// Whether Compare may be called: the same generation and sizes.
bool SameStateSizes(const StateShape& a, const StateShape& b);

// The number of leading tokens that are the same in both, of models with attention.
size_t SameTokens(const State& a, const State& b);

}  // namespace linnet

#endif  // LINNET_MODELS_STATE_PARTS_H_
