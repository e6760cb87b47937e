// TaskPrompts: what a task asks a model for each row, and what its answers are worth.
#ifndef LINNET_EVAL_TASK_PROMPTS_H_
#define LINNET_EVAL_TASK_PROMPTS_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "eval/metrics.h"
#include "eval/row_files.h"
#include "eval/task_config.h"
#include "eval/task_data.h"

namespace linnet {

// The log-likelihood of `continuation` after `context` is asked for.
struct ScoredPair {
  std::string context, continuation;
};

// What is asked of one row: pairs to score, or a prompt to continue.
struct TaskDocument {
  size_t id = 0;  // of the row in its split
  std::vector<ScoredPair> pairs{};
  std::string prompt{};
  std::vector<std::string> choices{};
  // A number (of a choice), a text, or a list of either.
  TaskJson gold{};
};

struct PairScore {
  double logprob = 0;   // natural, summed over the continuation's tokens
  bool greedy = false;  // whether each of them is the likeliest
};

// The value of a metric for one row. `filter` is "none" unless the task filters answers.
struct DocumentValue {
  std::string metric, filter;
  MetricSample sample;
};

struct TaskOptions {
  std::optional<size_t> num_fewshot{};  // instead of the task's own, unless that is 0
  double limit = 0;                     // rows, or below 1 their share; 0: all
  uint64_t fewshot_seed = 1234;
};

// The prompts of lm-evaluation-harness 0.4.13 without a chat template, to the byte: fewshot_context
// and construct_requests of its ConfigurableTask, and process_results. Immutable after it is made.
class TaskPrompts {
 public:
  // Reads the rows and makes all prompts. Keeps a reference to the task. Throws Error kBadInput,
  // naming the task and the row, and what TaskData::Load throws.
  TaskPrompts(const TaskConfig& task, TaskData& data, const TaskOptions& options);
  ~TaskPrompts();
  TaskPrompts(TaskPrompts&&) noexcept;

  const TaskConfig& task() const { return task_; }
  const std::vector<TaskDocument>& documents() const { return documents_; }
  const TaskJson& row(const TaskDocument& document) const { return rows_[document.id]; }
  size_t rows() const { return rows_.size(); }  // without the limit
  size_t num_fewshot() const { return shots_; }
  const std::vector<std::filesystem::path>& files() const { return files_; }

  // Of a document with pairs: `scores` has one for each.
  std::vector<DocumentValue> Values(const TaskDocument& document,
                                    const std::vector<PairScore>& scores) const;
  // Of one with a prompt. Also appends, for each filter, the answer as filtered.
  std::vector<DocumentValue> Values(const TaskDocument& document, const std::string& answer,
                                    std::vector<std::string>& filtered) const;

 private:
  const TaskConfig& task_;
  TaskRows rows_;
  std::vector<TaskDocument> documents_;
  std::vector<std::filesystem::path> files_;
  size_t shots_ = 0;
};

}  // namespace linnet

#endif  // LINNET_EVAL_TASK_PROMPTS_H_
