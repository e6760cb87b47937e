// Sums in halves: the order in which gradients of several sequences are added.
//
// S(begin, end) = S(begin, middle) + S(middle, end), middle = (begin + end) / 2. So a batch that is
// split into halves or quarters, over passes or machines, gives the same bits as the whole, if the
// results are added in halves too.
#ifndef LINNET_OPS_SUM_TREE_H_
#define LINNET_OPS_SUM_TREE_H_

#include <cstddef>
#include <span>

#include "kernels/rows.h"

namespace linnet {

// Levels of scratch that SumInHalves needs.
constexpr size_t SumTreeDepth(size_t leaves) {
  size_t depth = 0;
  while (leaves > 1) {
    leaves = (leaves + 1) / 2;
    ++depth;
  }
  return depth;
}

// out [n] = the sum of leaves [begin, end), at least one. leaf(i, to) overwrites to [n] with leaf
// i. `scratch` has SumTreeDepth(end - begin) * n floats.
template <class Leaf>
void SumInHalves(size_t begin, size_t end, size_t n, const Leaf& leaf, float* out, float* scratch) {
  if (end - begin == 1) return leaf(begin, out);
  const size_t middle = (begin + end) / 2;
  SumInHalves(begin, middle, n, leaf, out, scratch);
  SumInHalves(middle, end, n, leaf, scratch, scratch + n);
  AddRow(out, scratch, n, out);
}

// The same for single values; the sum of none is 0.
inline double SumInHalves(std::span<const double> values) {
  if (values.size() < 2) return values.empty() ? 0 : values[0];
  const size_t middle = values.size() / 2;
  return SumInHalves(values.first(middle)) + SumInHalves(values.subspan(middle));
}

}  // namespace linnet

#endif  // LINNET_OPS_SUM_TREE_H_
