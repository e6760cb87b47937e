#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// RWKV-LM's L2Wrap: pulls the largest logit down by this share of itself.
constexpr double kL2Wrap = 1e-4;

// log of the sum of exp, around the largest, in double: the loss is compared to 1e-5.
double LogSumExp(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(x - top);
  return top + std::log(sum);
}

}  // namespace

double CrossEntropy(Pass& p, Var logits, std::span<const int32_t> targets, bool l2wrap) {
  LINNET_CHECK(targets.size() == logits.rows());
  const size_t rows = logits.rows();
  auto* lse = p.arena.New<double>(rows);
  double loss = 0;
  p.ForRows(rows, rows * logits.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) lse[t] = LogSumExp(logits.v[t]);
  });
  for (size_t t = 0; t < rows; ++t) loss += lse[t] - logits.v.Row(t)[targets[t]];
  p.OnBackward([&p, logits, targets, l2wrap, lse, rows] {
    const double scale = 1.0 / static_cast<double>(rows);
    p.ForRows(rows, rows * logits.cols(), [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        const auto x = logits.v[t];
        float* g = logits.g.Row(t);
        for (size_t i = 0; i < x.size(); ++i) {
          g[i] += static_cast<float>(scale * std::exp(x[i] - lse[t]));
        }
        g[targets[t]] -= static_cast<float>(scale);
        if (!l2wrap) continue;
        const auto top = static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin());
        g[top] += static_cast<float>(scale * kL2Wrap * x[top]);
      }
    });
  });
  return loss / static_cast<double>(rows);
}

}  // namespace linnet
