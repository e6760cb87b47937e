// TaskConfig: one benchmark, described by the fields of lm-evaluation-harness's YAML files.
#ifndef LINNET_EVAL_TASK_CONFIG_H_
#define LINNET_EVAL_TASK_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "eval/python_text.h"

namespace linnet {

enum class TaskOutput : uint8_t { kLogLikelihood, kRolling, kMultipleChoice, kGenerateUntil };

struct TaskMetric {
  std::string name;         // "acc", "acc_norm", "exact_match", ...
  std::string aggregation;  // "mean", "perplexity", ...
  bool higher_is_better = true;
  TaskJson options{};  // of exact_match: ignore_case and others
};

struct TaskFilter {
  std::string name;
  std::vector<TaskJson> steps{};  // {"function": NAME, options}
};

// The fields as lm-evaluation-harness 0.4.13 reads them, with its defaults.
struct TaskConfig {
  std::string task, alias;
  std::vector<std::string> tags{};
  TaskOutput output = TaskOutput::kGenerateUntil;
  std::string dataset_path, dataset_name;
  TaskJson dataset_kwargs{};
  std::optional<std::string> training_split{}, validation_split{}, test_split{}, fewshot_split{};
  // A text (a field of the row, or a template), or a number or list that every row has.
  TaskJson doc_to_text{}, doc_to_target{}, doc_to_choice{};
  std::string description{}, gen_prefix{};
  std::string target_delimiter = " ", fewshot_delimiter = "\n\n";
  TaskJson fewshot{};  // fewshot_config
  std::optional<size_t> num_fewshot{};
  std::string process_results{};  // the name of a function of ours; usually empty
  std::vector<TaskMetric> metrics{};
  std::vector<TaskFilter> filters{};
  TaskJson generation{};  // generation_kwargs
  TaskJson metadata{};
  TaskJson fields{};             // all of them, for the record
  std::filesystem::path folder;  // of the file; data_files are relative to it

  // The split that is evaluated: test, else validation. Throws Error kBadInput if neither is named.
  const std::string& eval_split() const;
};

// Throws Error kBadInput, naming the task and the field, for a field that has no effect here but
// would change the result, a wrong type, an unknown metric, and a function of Python that is not
// one of ours.
TaskConfig ParseTaskConfig(const TaskJson& fields, const std::filesystem::path& folder);

struct TaskGroup {
  std::string name, alias;
  std::vector<std::string> members{};  // tasks, groups or tags
  struct Aggregate {
    std::string metric;
    bool weight_by_size = true;
  };
  std::vector<Aggregate> aggregates{};
  TaskJson metadata{};
};

// Tasks and groups by name: the built-in ones, and those of files.
class TaskLibrary {
 public:
  // With the built-in tasks.
  TaskLibrary();

  // Adds what a YAML file describes, with the files that it includes; returns the names. Throws
  // Error kIo, kBadInput.
  std::vector<std::string> AddFile(const std::filesystem::path& path);

  // The tasks of a task, group or tag, in order. Throws Error kBadInput that lists similar names.
  std::vector<const TaskConfig*> Resolve(const std::string& name) const;
  const TaskGroup* FindGroup(const std::string& name) const;
  // All names of tasks, groups and tags.
  std::vector<std::string> Names() const;

 private:
  void Add(const TaskJson& fields, const std::filesystem::path& folder, const std::string& source,
           std::vector<std::string>& names);
  void Resolve(const std::string& name, size_t depth, std::vector<const TaskConfig*>& out) const;

  std::map<std::string, TaskConfig, std::less<>> tasks_;
  std::map<std::string, TaskGroup, std::less<>> groups_;
  std::map<std::string, std::vector<std::string>, std::less<>> tags_;
};

}  // namespace linnet

#endif  // LINNET_EVAL_TASK_CONFIG_H_
