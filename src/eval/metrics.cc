#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>
#include <numeric>

#include "base/check.h"
#include "eval/python_random.h"
#include "eval/python_regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Resamples that share one random stream, as the harness divides them among processes.
constexpr size_t kStreamLength = 1000;

double Mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double SampleDeviation(std::span<const double> values) {
  const double mean = Mean(values);
  double sum = 0;
  for (const double x : values) sum += (x - mean) * (x - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

double WeightedMean(std::span<const MetricSample> samples) {
  double sum = 0, weight = 0;
  for (const MetricSample& s : samples) {
    sum += s.value;
    weight += s.weight;
  }
  return sum / weight;
}

// string.punctuation: what is punctuation in ASCII.
bool IsPunctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

bool Asks(const TaskJson& options, const char* name) {
  return options.is_object() && options.contains(name) && options[name] == TaskJson(true);
}

std::vector<std::string> AnswerWords(const std::string& text) {
  return SplitAtBlanks(NormalizedAnswer(text));
}

}  // namespace

double Aggregate(std::string_view aggregation, std::span<const MetricSample> samples) {
  LINNET_CHECK(!samples.empty());
  if (aggregation == "weighted_perplexity") return std::exp(-WeightedMean(samples));
  if (aggregation == "bits_per_byte") return -WeightedMean(samples) / std::numbers::ln2;
  std::vector<double> values;
  for (const MetricSample& s : samples) values.push_back(s.value);
  if (aggregation == "median") {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  if (aggregation == "nanmean") {
    std::erase_if(values, [](double x) { return std::isnan(x); });
    return values.empty() ? NAN : Mean(values);
  }
  return aggregation == "perplexity" ? std::exp(-Mean(values)) : Mean(values);
}

std::optional<double> StandardError(std::string_view aggregation,
                                    std::span<const MetricSample> samples, size_t iterations,
                                    const ForEachTask& for_each) {
  if (samples.size() < 2 || iterations == 0) return std::nullopt;
  if (aggregation == "mean") {
    std::vector<double> values;
    for (const MetricSample& s : samples) values.push_back(s.value);
    return SampleDeviation(values) / std::sqrt(static_cast<double>(values.size()));
  }
  if (aggregation != "perplexity" && aggregation != "median" && aggregation != "nanmean")
    return std::nullopt;
  // Stream i is random.Random(i), and each resample draws as many rows as there are.
  const size_t length = std::min(kStreamLength, iterations), streams = iterations / length;
  std::vector<double> results(streams * length);
  for_each(streams, [&](size_t stream) {
    PythonRandom random(stream);
    std::vector<MetricSample> drawn(samples.size());
    for (size_t i = 0; i < length; ++i) {
      for (MetricSample& s : drawn) s = samples[random.Choose(samples.size())];
      results[stream * length + i] = Aggregate(aggregation, drawn);
    }
  });
  return SampleDeviation(results);
}

double GroupMean(std::span<const double> values, std::span<const size_t> sizes,
                 bool weight_by_size) {
  double sum = 0, total = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const double size = weight_by_size ? static_cast<double>(sizes[i]) : 1;
    sum += values[i] * size;
    total += size;
  }
  return sum / total;
}

double GroupError(std::span<const double> errors, std::span<const size_t> sizes,
                  bool weight_by_size) {
  double sum = 0, total = 0;
  const auto count = static_cast<double>(errors.size());
  for (size_t i = 0; i < errors.size(); ++i) {
    const auto size = static_cast<double>(sizes[i]);
    sum += weight_by_size ? (size - 1) * errors[i] * errors[i] * size : errors[i] * errors[i];
    total += size;
  }
  return weight_by_size ? std::sqrt(sum / (total - count) / total) : std::sqrt(sum) / count;
}

bool ExactMatch(const std::string& prediction, const std::string& reference,
                const TaskJson& options) {
  std::string texts[] = {prediction, reference};
  for (std::string& text : texts) {
    if (options.is_object() && options.contains("regexes_to_ignore")) {
      for (const TaskJson& pattern : options["regexes_to_ignore"])
        text = PythonRegex(PythonString(pattern)).Replace(text, "");
    }
    if (Asks(options, "ignore_case")) text = PythonLower(text);
    if (Asks(options, "ignore_punctuation")) std::erase_if(text, IsPunctuation);
    if (Asks(options, "ignore_numbers"))
      std::erase_if(text, [](char c) { return c >= '0' && c <= '9'; });
    // Arrays of NumPy drop zero bytes at the end of texts; no row has any.
  }
  return texts[0] == texts[1];
}

std::string NormalizedAnswer(const std::string& text) {
  std::string lower = PythonLower(text);
  std::erase_if(lower, IsPunctuation);
  static const PythonRegex kArticles("\\b(a|an|the)\\b");
  std::string out;
  for (const std::string& word : SplitAtBlanks(kArticles.Replace(lower, " ")))
    out += (out.empty() ? "" : " ") + word;
  return out;
}

double SquadExact(const std::string& prediction, const std::string& reference) {
  return NormalizedAnswer(prediction) == NormalizedAnswer(reference) ? 1 : 0;
}

double SquadF1(const std::string& prediction, const std::string& reference) {
  const std::vector<std::string> got = AnswerWords(prediction), wanted = AnswerWords(reference);
  if (got.empty() || wanted.empty()) return got == wanted ? 1 : 0;
  std::map<std::string, size_t> left;
  for (const std::string& word : wanted) ++left[word];
  size_t same = 0;
  for (const std::string& word : got) {
    if (left[word] > 0) {
      --left[word];
      ++same;
    }
  }
  if (same == 0) return 0;
  const double precision = static_cast<double>(same) / static_cast<double>(got.size());
  const double recall = static_cast<double>(same) / static_cast<double>(wanted.size());
  return 2 * precision * recall / (precision + recall);
}

}  // namespace linnet
