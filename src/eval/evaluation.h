// Evaluate: runs tasks on a model and reports as lm-evaluation-harness does.
#ifndef LINNET_EVAL_EVALUATION_H_
#define LINNET_EVAL_EVALUATION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/journal.h"
#include "eval/task_prompts.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

struct EvaluationOptions {
  std::vector<int32_t> pad{};  // tokens before every context
  size_t bootstrap = 100'000;  // resamples for standard errors that have no formula
  ScoringOptions scoring{};    // without its functions
  EvalJournal* journal = nullptr;
  // Of tokens to score, then of answers to write.
  std::function<void(const char* doing, size_t done, size_t total)> progress{};
  // The processes that share the work: number `process` of `processes` takes the rows that are its
  // own modulo their number, and `exchange` gives every process all values: those of process r are
  // at [bounds[r], bounds[r + 1]).
  size_t process = 0, processes = 1;
  std::function<void(std::span<double> values, std::span<const size_t> bounds)> exchange{};
  // Each row's question, answers and values in the harness's form of samples, on process 0.
  std::function<void(const TaskJson& sample)> sample{};
};

// A value of a task, as the harness names it.
struct TaskValue {
  std::string metric, filter;
  double value = 0;
  std::optional<double> error{};
  bool higher_is_better = true;
};

struct TaskResult {
  const TaskConfig* task = nullptr;
  size_t rows = 0, evaluated = 0, num_fewshot = 0;
  std::vector<TaskValue> values{};
  std::vector<std::string> files{};
};

// Results do not depend on batch, threads or the number of processes. Throws Error kBadModel if a
// log-likelihood is not finite.
std::vector<TaskResult> Evaluate(const Model& model, const Tokenizer& tokenizer,
                                 Workspace& workspace, std::span<const TaskPrompts> tasks,
                                 const EvaluationOptions& options);

// A group's values, from those of its tasks among `results`; none if the group has none.
std::vector<TaskValue> GroupValues(const TaskLibrary& library, const TaskGroup& group,
                                   std::span<const TaskResult> results, size_t& rows);

// {"results": {TASK: {"alias": ..., "acc,none": X, "acc_stderr,none": X or "N/A"}}, "groups",
// "group_subtasks", "configs", "versions", "n-shot", "higher_is_better", "n-samples"}: the layout
// of lm-evaluation-harness 0.4.13. `names` are the tasks, groups and tags that were asked for.
TaskJson ResultsJson(const TaskLibrary& library, std::span<const std::string> names,
                     std::span<const TaskResult> results);

// The value of a metric; nullopt if the task does not have it.
std::optional<TaskValue> FindValue(std::span<const TaskValue> values, const std::string& metric);

}  // namespace linnet

#endif  // LINNET_EVAL_EVALUATION_H_
