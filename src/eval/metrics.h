// Metrics: from the values of rows to those of a task and a group, with their standard errors.
#ifndef LINNET_EVAL_METRICS_H_
#define LINNET_EVAL_METRICS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "eval/python_text.h"

namespace linnet {

// One row's value; a sum over words or bytes also has their number.
struct MetricSample {
  double value = 0, weight = 1;
};

// lm-evaluation-harness 0.4.13, lm_eval/api/metrics.py: "mean", "median", "nanmean", "perplexity",
// "weighted_perplexity", "bits_per_byte", "brier_score" (a mean). Needs a sample at least.
double Aggregate(std::string_view aggregation, std::span<const MetricSample> samples);

// Calls body(0) to body(tasks - 1) in any order, on any threads.
using ForEachTask = std::function<void(size_t tasks, const std::function<void(size_t)>& body)>;

// The standard error of that: of a mean by the sample's deviation; of perplexity, median and
// nanmean by the bootstrap with `iterations` resamples and the harness's own random numbers.
// nullopt for the others, for fewer than two samples, and with 0 iterations.
std::optional<double> StandardError(std::string_view aggregation,
                                    std::span<const MetricSample> samples, size_t iterations,
                                    const ForEachTask& for_each);

// Of a group: the mean of its tasks' values, weighted by their numbers of rows or not, and the
// standard error of that (metrics.py: pooled_sample_stderr, unweighted_mean_stderr).
double GroupMean(std::span<const double> values, std::span<const size_t> sizes,
                 bool weight_by_size);
double GroupError(std::span<const double> errors, std::span<const size_t> sizes,
                  bool weight_by_size);

// exact_match of the harness: whether the texts are equal after what `options` say: ignore_case,
// ignore_punctuation, ignore_numbers, regexes_to_ignore. Throws Error kBadInput for a bad pattern.
bool ExactMatch(const std::string& prediction, const std::string& reference,
                const TaskJson& options);

// SQuAD 1.1's normalization: small letters, no punctuation, no articles, single blanks; and the two
// scores of texts normalized so, where `f1` counts common words.
std::string NormalizedAnswer(const std::string& text);
double SquadExact(const std::string& prediction, const std::string& reference);
double SquadF1(const std::string& prediction, const std::string& reference);

}  // namespace linnet

#endif  // LINNET_EVAL_METRICS_H_
