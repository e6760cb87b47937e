#include "eval/divergence.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "linnet/error.h"

namespace linnet {
namespace {

constexpr size_t kTokensAtOnce = 128;

// log(sum of exp) in double precision: sums over a whole book must stay accurate.
double LogSum(std::span<const float> logits) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum);
}

void AddToken(std::span<const float> p, std::span<const float> q, size_t target, Divergence& sum) {
  const double log_p = LogSum(p), log_q = LogSum(q);
  double kl = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    const double a = p[i] - log_p, b = q[i] - log_q;
    kl += std::exp(a) * (a - b);
    sum.largest_logit_error = std::max(sum.largest_logit_error, std::abs(double{p[i]} - q[i]));
  }
  sum.kl += kl;
  sum.largest_kl = std::max(sum.largest_kl, kl);
  sum.reference_nats += log_p - p[target];
  sum.other_nats += log_q - q[target];
  const auto choice = [](std::span<const float> x) {
    return std::max_element(x.begin(), x.end()) - x.begin();
  };
  sum.same_choice += choice(p) == choice(q) ? 1 : 0;
  ++sum.tokens;
}

}  // namespace

Divergence Compare(const Model& reference, const Model& other, Workspace& workspace,
                   std::span<const int32_t> tokens, const std::function<void(size_t)>& progress) {
  const size_t vocab = reference.config().vocab;
  if (other.config().vocab != vocab) {
    throw Error(ErrorKind::kBadInput, fmt::format("models of {} and {} tokens cannot be compared",
                                                  vocab, other.config().vocab));
  }
  Divergence result;
  if (tokens.empty()) return result;
  std::vector<int32_t> inputs = {0};
  inputs.insert(inputs.end(), tokens.begin(), tokens.end() - 1);
  State a = reference.NewState(), b = other.NewState();
  std::vector<float> p(kTokensAtOnce * vocab), q(p.size());
  for (size_t begin = 0; begin < inputs.size(); begin += kTokensAtOnce) {
    const size_t count = std::min(kTokensAtOnce, inputs.size() - begin);
    const auto turn = std::span<const int32_t>(inputs).subspan(begin, count);
    reference.Forward({turn, &a, std::span(p).first(count * vocab)}, workspace);
    other.Forward({turn, &b, std::span(q).first(count * vocab)}, workspace);
    for (size_t i = 0; i < count; ++i) {
      AddToken(std::span(p).subspan(i * vocab, vocab), std::span(q).subspan(i * vocab, vocab),
               static_cast<size_t>(tokens[begin + i]), result);
    }
    if (progress) progress(begin + count);
  }
  result.kl /= static_cast<double>(result.tokens);
  result.same_choice /= static_cast<double>(result.tokens);
  return result;
}

}  // namespace linnet
