// What answers are worth: process_results of lm-evaluation-harness.
#include <algorithm>
#include <cmath>
#include <set>

#include "eval/answer_filters.h"
#include "eval/task_prompts.h"

namespace linnet {
namespace {

size_t ArgMax(const std::vector<double>& values) {
  return static_cast<size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

// The numbers of the right choices; those that are no choice are left out.
std::set<size_t> RightChoices(const TaskDocument& document) {
  std::set<size_t> right;
  const TaskJson gold = document.gold.is_array() ? document.gold : TaskJson::array({document.gold});
  for (const TaskJson& one : gold) {
    if (one.is_number_integer()) {
      int64_t at = one.get<int64_t>();
      if (at >= 0 && at < static_cast<int64_t>(document.choices.size()))
        right.insert(static_cast<size_t>(at));
    } else if (one.is_string()) {
      const auto it = std::find(document.choices.begin(), document.choices.end(),
                                one.get_ref<const std::string&>());
      if (it != document.choices.end())
        right.insert(static_cast<size_t>(it - document.choices.begin()));
    }
  }
  return right;
}

// ReCoRD: the likeliest entity against the answers, as SQuAD compares them.
std::vector<DocumentValue> RecordValues(const TaskJson& row, const std::vector<double>& logprobs) {
  const auto sorted = [&](const char* name) {
    std::set<std::string> texts;
    for (const TaskJson& one : row.at(name)) texts.insert(PythonString(one));
    return std::vector<std::string>(texts.begin(), texts.end());
  };
  const std::vector<std::string> entities = sorted("entities");
  const std::string& chosen = entities[std::min(ArgMax(logprobs), entities.size() - 1)];
  double f1 = 0, exact = 0;
  for (const std::string& answer : sorted("answers")) {
    f1 = std::max(f1, SquadF1(chosen, answer));
    exact = std::max(exact, SquadExact(chosen, answer));
  }
  return {{"f1", "none", {f1}}, {"em", "none", {exact}}};
}

double BrierScore(const std::vector<double>& logprobs, const std::set<size_t>& right) {
  const double top = *std::max_element(logprobs.begin(), logprobs.end());
  double sum = 0, score = 0;
  for (const double x : logprobs) sum += std::exp(x - top);
  for (size_t i = 0; i < logprobs.size(); ++i) {
    const double off = std::exp(logprobs[i] - top) / sum - (right.contains(i) ? 1 : 0);
    score += off * off;
  }
  return score;
}

}  // namespace

std::vector<DocumentValue> TaskPrompts::Values(const TaskDocument& document,
                                               const std::vector<PairScore>& scores) const {
  const std::string filter = task_.filters[0].name;
  std::vector<double> logprobs;
  logprobs.reserve(scores.size());
  for (const PairScore& score : scores) logprobs.push_back(score.logprob);
  if (task_.process_results == "record") return RecordValues(row(document), logprobs);
  const size_t choices = document.choices.size();
  std::vector<double> without;  // the context's part taken off: acc_mutual_info
  if (task_.output == TaskOutput::kMultipleChoice) {
    for (size_t i = choices; i < logprobs.size(); ++i)
      without.push_back(logprobs[i - choices] - logprobs[i]);
    logprobs.resize(choices);
  }
  const std::set<size_t> right = RightChoices(document);
  const auto hit = [&](const std::vector<double>& values) {
    return right.contains(ArgMax(values)) ? 1.0 : 0.0;
  };
  const auto divided = [&](size_t (*length)(const std::string&)) {
    std::vector<double> out;
    for (size_t i = 0; i < choices; ++i)
      out.push_back(logprobs[i] / static_cast<double>(length(document.choices[i])));
    return out;
  };
  std::vector<DocumentValue> out;
  for (const TaskMetric& metric : task_.metrics) {
    MetricSample sample;
    if (task_.output == TaskOutput::kLogLikelihood) {
      sample.value = metric.name == "acc" ? (scores[0].greedy ? 1 : 0) : logprobs[0];
    } else if (task_.output == TaskOutput::kRolling) {
      const std::string& text = document.pairs[0].continuation;
      // len(re.split(r"\s+", text)): blanks at the ends count as word ends too.
      const size_t words = std::max<size_t>(SplitAtBlanks(text).size(), 1) +
                           (StripLeft(text) != text ? 1 : 0) +
                           (StripRight(text) != text && !StripLeft(text).empty() ? 1 : 0);
      sample = {logprobs[0],
                static_cast<double>(metric.name == "word_perplexity" ? words : text.size())};
    } else if (metric.name == "acc") {
      sample.value = hit(logprobs);
    } else if (metric.name == "acc_norm") {
      sample.value = hit(divided([](const std::string& s) { return CountCharacters(s); }));
    } else if (metric.name == "acc_bytes") {
      sample.value = hit(divided([](const std::string& s) { return s.size(); }));
    } else if (metric.name == "acc_mutual_info") {
      sample.value = hit(without);
    } else if (metric.name == "exact_match") {
      sample.value =
          std::any_of(right.begin(), right.end(), [&](size_t i) { return scores[i].greedy; }) ? 1
                                                                                              : 0;
    } else {
      sample.value = BrierScore(logprobs, right);
    }
    out.push_back({metric.name, filter, sample});
  }
  return out;
}

std::vector<DocumentValue> TaskPrompts::Values(const TaskDocument& document,
                                               const std::string& answer,
                                               std::vector<std::string>& filtered) const {
  std::vector<DocumentValue> out;
  for (const TaskFilter& filter : task_.filters) {
    const std::string text = FilterAnswer(filter, answer);
    filtered.push_back(text);
    TaskJson gold = document.gold;
    if (!document.choices.empty() && gold.is_number_integer()) {
      const auto at = gold.get<size_t>();
      gold = at < document.choices.size() ? document.choices[at] : "";
    }
    if (!gold.is_array()) gold = TaskJson::array({gold});
    for (const TaskMetric& metric : task_.metrics) {
      const bool same = std::any_of(gold.begin(), gold.end(), [&](const TaskJson& one) {
        return ExactMatch(text, PythonString(one), metric.options);
      });
      out.push_back({metric.name, filter.name, {same ? 1.0 : 0.0}});
    }
  }
  return out;
}

}  // namespace linnet
