#include <cmath>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// Mean and 1 / sqrt(variance + eps) of n values, in double: the backward is not
// the hot path and its sums of products of near-zeros want the digits.
struct GroupMoments {
  double mean, inverse;
};
GroupMoments MomentsOf(const float* x, size_t n, float eps) {
  double sum = 0, squares = 0;
  for (size_t i = 0; i < n; ++i) sum += x[i];
  const double mean = sum / static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) squares += (x[i] - mean) * (x[i] - mean);
  return {mean, 1 / std::sqrt(squares / static_cast<double>(n) + eps)};
}

void NormBackwardGroup(Var x, Var gain, Var bias, Var y, float eps, size_t t, size_t begin,
                       size_t n) {
  const float *in = x.v.Row(t) + begin, *dy = y.g.Row(t) + begin, *scale = gain.v.data + begin;
  const GroupMoments m = MomentsOf(in, n, eps);
  double sum = 0, dot = 0;
  for (size_t i = 0; i < n; ++i) {
    const double z = (in[i] - m.mean) * m.inverse, dz = double{dy[i]} * scale[i];
    sum += dz;
    dot += dz * z;
    if (gain.tracked()) gain.g.data[begin + i] += static_cast<float>(dy[i] * z);
    if (bias.tracked()) bias.g.data[begin + i] += dy[i];
  }
  if (!x.tracked()) return;
  const double count = static_cast<double>(n);
  for (size_t i = 0; i < n; ++i) {
    const double z = (in[i] - m.mean) * m.inverse, dz = double{dy[i]} * scale[i];
    x.g.Row(t)[begin + i] += static_cast<float>(m.inverse * (dz - sum / count - z * dot / count));
  }
}

}  // namespace

Var Norm(Pass& p, Var x, size_t groups, Var gain, Var bias, float eps) {
  const Var y = p.New(x.rows(), x.cols());
  p.ForRows(x.rows(), 4 * x.rows() * x.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      NormRow(x.v.Row(t), x.cols(), groups, gain.v.data, bias.v.data, eps, y.v.Row(t));
    }
  });
  p.OnBackward([x, groups, gain, bias, eps, y] {
    const size_t n = x.cols() / groups;
    for (size_t t = 0; t < x.rows(); ++t) {
      for (size_t g = 0; g < groups; ++g) {
        NormBackwardGroup(x, gain, bias, y, eps, t, g * n, n);
      }
    }
  });
  return y;
}

}  // namespace linnet
