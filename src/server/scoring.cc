#include "server/scoring.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace linnet {
namespace {

// A context that is shorter is read again faster than a pass that ends before its last token.
constexpr size_t kWorthMarking = 64;

}  // namespace

Job ScoringJob(std::vector<int32_t> context, std::vector<std::vector<int32_t>> continuations,
               const std::string& owner) {
  Job job;
  job.prompt = std::move(context);
  job.continuations = std::move(continuations);
  job.text.max_tokens = 0;
  job.owner = owner;
  // The same context goes on before its last token, whose logits are needed.
  const size_t tokens = job.prompt.size();
  if (tokens > kWorthMarking) job.marks.push_back(tokens - 1);
  job.marks.push_back(tokens);
  return job;
}

std::vector<double> SoftmaxOf(std::span<const double> values) {
  std::vector<double> shares(values.begin(), values.end());
  if (shares.empty()) return shares;
  const double most = *std::max_element(shares.begin(), shares.end());
  double sum = 0;
  for (double& x : shares) sum += x = std::exp(x - most);
  for (double& x : shares) x /= sum;
  return shares;
}

std::vector<RankedChoice> RankChoices(std::span<const ChoiceScore> choices, ChoiceNorm norm,
                                      bool calibrate) {
  const auto normed = [norm](double sum, size_t tokens) {
    return norm == ChoiceNorm::kTokens ? sum / static_cast<double>(tokens) : sum;
  };
  std::vector<double> scores;
  scores.reserve(choices.size());
  for (const ChoiceScore& choice : choices) {
    double score = normed(choice.logprob, choice.tokens);
    if (calibrate) score -= normed(choice.neutral, choice.neutral_tokens);
    scores.push_back(score);
  }
  const std::vector<double> probabilities = SoftmaxOf(scores);
  std::vector<RankedChoice> ranked;
  ranked.reserve(choices.size());
  for (size_t i = 0; i < choices.size(); ++i) ranked.push_back({i, scores[i], probabilities[i]});
  std::stable_sort(ranked.begin(), ranked.end(),
                   [](const RankedChoice& a, const RankedChoice& b) { return a.score > b.score; });
  return ranked;
}

}  // namespace linnet
