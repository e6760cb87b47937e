#include "eval/task_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "eval/task_names.h"
#include "eval/yaml_value.h"
#include "linnet/error.h"

namespace linnet {
namespace {

// Fields that change nothing here, and those whose effect we do not have.
constexpr std::array kIgnored = {"should_decontaminate", "doc_to_decontamination_query",
                                 "unsafe_code", "include", "group"};
constexpr std::array kUnsupported = {"custom_dataset", "process_docs", "doc_to_image",
                                     "doc_to_audio",   "use_prompt",   "repeats"};
// A text of a task, after its words were put in.
constexpr size_t kLongestField = size_t{1} << 20;
// Names of process_results.
constexpr std::array kFunctions = {"record"};

struct MetricKind {
  const char* name;
  const char* aggregation;
  bool higher_is_better;
  TaskOutput outputs[2];
};
constexpr MetricKind kMetrics[] = {
    {"acc", "mean", true, {TaskOutput::kLogLikelihood, TaskOutput::kMultipleChoice}},
    {"acc_norm", "mean", true, {TaskOutput::kMultipleChoice, TaskOutput::kMultipleChoice}},
    {"acc_bytes", "mean", true, {TaskOutput::kMultipleChoice, TaskOutput::kMultipleChoice}},
    {"acc_mutual_info", "mean", true, {TaskOutput::kMultipleChoice, TaskOutput::kMultipleChoice}},
    {"brier_score",
     "brier_score",
     false,
     {TaskOutput::kMultipleChoice, TaskOutput::kMultipleChoice}},
    {"exact_match", "mean", true, {TaskOutput::kMultipleChoice, TaskOutput::kGenerateUntil}},
    {"perplexity", "perplexity", false, {TaskOutput::kLogLikelihood, TaskOutput::kLogLikelihood}},
    {"word_perplexity", "weighted_perplexity", false, {TaskOutput::kRolling, TaskOutput::kRolling}},
    {"byte_perplexity", "weighted_perplexity", false, {TaskOutput::kRolling, TaskOutput::kRolling}},
    {"bits_per_byte", "bits_per_byte", false, {TaskOutput::kRolling, TaskOutput::kRolling}},
};
constexpr std::array kAggregations = {
    "mean",          "median",     "nanmean", "perplexity", "weighted_perplexity",
    "bits_per_byte", "brier_score"};

// Reads the fields of one task.
class FieldReader {
 public:
  FieldReader(const TaskJson& fields, std::string task) : fields_(fields), task_(std::move(task)) {}

  [[noreturn]] void Fail(const std::string& what) const {
    throw Error(ErrorKind::kBadInput, fmt::format("task {}: {}", task_, what));
  }

  // Null if it is not there.
  const TaskJson& At(const char* name) const {
    static const TaskJson kNull;
    const auto it = fields_.find(name);
    return it == fields_.end() ? kNull : *it;
  }
  std::optional<std::string> Text(const char* name) const {
    const TaskJson& value = At(name);
    if (value.is_null()) return std::nullopt;
    if (value.is_object() && value.contains(kFunctionKey)) FailFunction(name, value);
    if (!value.is_string()) Fail(fmt::format("{} is {}, expected a text", name, PythonRepr(value)));
    return value.get<std::string>();
  }
  // As Text, but a word that YAML takes for a number is one too: dataset_name: 2016.
  std::string Word(const char* name) const {
    const TaskJson& value = At(name);
    if (value.is_structured())
      Fail(fmt::format("{} is {}, expected a word", name, PythonRepr(value)));
    return value.is_null() ? "" : PythonString(value);
  }
  [[noreturn]] void FailFunction(const char* name, const TaskJson& value) const {
    Fail(fmt::format("{} is the Python function {}; write it as a template", name,
                     PythonString(value[kFunctionKey])));
  }
  void CheckTemplate(const char* name) const {
    const TaskJson& value = At(name);
    if (value.is_object() && value.contains(kFunctionKey)) FailFunction(name, value);
  }

 private:
  const TaskJson& fields_;
  std::string task_;
};

TaskOutput OutputOf(const FieldReader& read) {
  const std::string name = read.Text("output_type").value_or("generate_until");
  if (name == "loglikelihood") return TaskOutput::kLogLikelihood;
  if (name == "loglikelihood_rolling") return TaskOutput::kRolling;
  if (name == "multiple_choice") return TaskOutput::kMultipleChoice;
  if (name == "generate_until") return TaskOutput::kGenerateUntil;
  read.Fail(
      fmt::format("output_type is {}, expected loglikelihood, loglikelihood_rolling, "
                  "multiple_choice or generate_until",
                  name));
}

TaskJson DefaultMetrics(TaskOutput output) {
  switch (output) {
    case TaskOutput::kLogLikelihood:
      return {{{"metric", "perplexity"}}, {{"metric", "acc"}}};
    case TaskOutput::kRolling:
      return {{{"metric", "word_perplexity"}},
              {{"metric", "byte_perplexity"}},
              {{"metric", "bits_per_byte"}}};
    case TaskOutput::kMultipleChoice:
      return {{{"metric", "acc"}}, {{"metric", "acc_norm"}}};
    case TaskOutput::kGenerateUntil:
      break;
  }
  return TaskJson::array({{{"metric", "exact_match"}}});
}

std::vector<TaskMetric> MetricsOf(const FieldReader& read, const TaskConfig& config) {
  TaskJson list = read.At("metric_list");
  if (list.is_null()) list = DefaultMetrics(config.output);
  if (!list.is_array()) read.Fail("metric_list is not a list");
  std::vector<TaskMetric> metrics;
  for (const TaskJson& one : list) {
    const auto it = one.is_object() ? one.find("metric") : one.end();
    if (!one.is_object() || it == one.end() || !it->is_string()) {
      read.Fail(fmt::format("metric_list has {}, expected a metric by name", PythonRepr(one)));
    }
    TaskMetric metric{.name = it->get<std::string>(), .aggregation = "mean"};
    if (config.process_results.empty()) {
      const auto* kind =
          std::find_if(std::begin(kMetrics), std::end(kMetrics), [&](const MetricKind& k) {
            return metric.name == k.name &&
                   (k.outputs[0] == config.output || k.outputs[1] == config.output);
          });
      if (kind == std::end(kMetrics)) {
        read.Fail(fmt::format("metric {} is not one of this output_type that is known here",
                              metric.name));
      }
      metric.aggregation = kind->aggregation;
      metric.higher_is_better = kind->higher_is_better;
    }
    for (const auto& [key, value] : one.items()) {
      if (key == "aggregation") {
        metric.aggregation = PythonString(value);
        if (std::find(kAggregations.begin(), kAggregations.end(), metric.aggregation) ==
            kAggregations.end()) {
          read.Fail(fmt::format("aggregation {} of {} is not known here", metric.aggregation,
                                metric.name));
        }
      } else if (key == "higher_is_better") {
        metric.higher_is_better = value.is_boolean() && value.get<bool>();
      } else if (key != "metric") {
        metric.options[key] = value;
      }
    }
    metrics.push_back(std::move(metric));
  }
  return metrics;
}

std::vector<TaskFilter> FiltersOf(const FieldReader& read) {
  std::vector<TaskFilter> filters;
  const TaskJson& list = read.At("filter_list");
  if (list.is_null()) return {{"none", {{{"function", "take_first"}}}}};
  for (const TaskJson& one : list) {
    if (!one.is_object() || !one.contains("name") || !one.contains("filter") ||
        !one["filter"].is_array()) {
      read.Fail("filter_list needs a name and a filter in each entry");
    }
    TaskFilter filter{.name = PythonString(one["name"])};
    for (const TaskJson& step : one["filter"]) {
      if (!step.is_object() || !step.contains("function")) read.Fail("a filter needs a function");
      filter.steps.push_back(step);
    }
    filters.push_back(std::move(filter));
  }
  return filters;
}

void ReadGeneration(const FieldReader& read, TaskConfig& config) {
  config.generation = read.At("generation_kwargs");
  if (config.output != TaskOutput::kGenerateUntil) return;
  if (config.generation.is_null()) config.generation = TaskJson::object();
  if (!config.generation.is_object())
    read.Fail("generation_kwargs is not a list of names and values");
  TaskJson& until = config.generation["until"];
  if (until.is_null()) until = TaskJson::array({config.fewshot_delimiter});
  if (until.is_string()) until = TaskJson::array({until});
  const bool texts =
      until.is_array() &&
      std::all_of(until.begin(), until.end(), [](const TaskJson& s) { return s.is_string(); });
  if (!texts) read.Fail("until of generation_kwargs is not a list of texts");
  for (const auto& [key, value] : config.generation.items()) {
    constexpr std::array kKnown = {"until",       "max_gen_toks", "max_tokens", "do_sample",
                                   "temperature", "top_p",        "top_k"};
    if (std::find(kKnown.begin(), kKnown.end(), key) == kKnown.end()) {
      read.Fail(fmt::format("generation_kwargs has {}, which is not known here", key));
    }
  }
}

// The fields that YAML files share by `%name%`: one task for each entry of metadata.names.
TaskJson Substituted(const TaskJson& value,
                     const std::vector<std::pair<std::string, std::string>>& words) {
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    for (const auto& [word, with] : words) {
      text = ReplaceAll(text, "%" + word + "%", with);
      if (text.size() > kLongestField) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("metadata.names: %{}% makes too long a text", word));
      }
    }
    return text;
  }
  if (value.is_array()) {
    TaskJson out = TaskJson::array();
    for (const TaskJson& part : value) out.push_back(Substituted(part, words));
    return out;
  }
  if (!value.is_object()) return value;
  TaskJson out = TaskJson::object();
  for (const auto& [key, part] : value.items()) out[key] = Substituted(part, words);
  return out;
}

}  // namespace

const std::string& TaskConfig::eval_split() const {
  if (test_split) return *test_split;
  if (validation_split) return *validation_split;
  throw Error(ErrorKind::kBadInput,
              fmt::format("task {}: has neither test_split nor validation_split", task));
}

TaskConfig ParseTaskConfig(const TaskJson& fields, const std::filesystem::path& folder) {
  const std::string name = fields.is_object() && fields.contains("task")
                               ? PythonString(fields["task"])
                               : "without a name";
  const FieldReader read(fields, name);
  if (!fields.is_object() || read.At("task").is_null()) read.Fail("the fields have no `task`");
  for (const char* field : kUnsupported) {
    const TaskJson& value = read.At(field);
    if (value.is_null() || value == TaskJson(1)) continue;
    if (value.is_object() && value.contains(kFunctionKey)) read.FailFunction(field, value);
    read.Fail(fmt::format("{} is not known here", field));
  }
  TaskConfig config;
  config.fields = fields;
  for (const char* field : kIgnored) config.fields.erase(field);
  config.folder = folder;
  config.task = read.Word("task");
  config.alias = read.At("task_alias").is_null() ? config.task : read.Word("task_alias");
  const TaskJson& tag = read.At("tag");
  if (tag.is_string()) config.tags = {tag.get<std::string>()};
  if (tag.is_array())
    for (const TaskJson& one : tag) config.tags.push_back(PythonString(one));
  config.output = OutputOf(read);
  config.dataset_path = read.Word("dataset_path");
  config.dataset_name = read.Word("dataset_name");
  config.dataset_kwargs = read.At("dataset_kwargs");
  config.training_split = read.Text("training_split");
  config.validation_split = read.Text("validation_split");
  config.test_split = read.Text("test_split");
  config.fewshot_split = read.Text("fewshot_split");
  for (const char* field : {"doc_to_text", "doc_to_target", "doc_to_choice"})
    read.CheckTemplate(field);
  config.doc_to_text = read.At("doc_to_text");
  config.doc_to_target = read.At("doc_to_target");
  config.doc_to_choice = read.At("doc_to_choice");
  if (config.doc_to_text.is_null()) config.doc_to_text = "";
  if (config.doc_to_choice.is_object()) {  // {A: "text"}: the values
    TaskJson values = TaskJson::array();
    for (const auto& [key, value] : config.doc_to_choice.items()) values.push_back(value);
    config.doc_to_choice = values;
  }
  config.description = read.Text("description").value_or("");
  config.gen_prefix = read.Text("gen_prefix").value_or("");
  config.target_delimiter = read.Text("target_delimiter").value_or(" ");
  config.fewshot_delimiter = read.Text("fewshot_delimiter").value_or("\n\n");
  config.fewshot = read.At("fewshot_config");
  if (!config.fewshot.is_null() && !config.fewshot.is_object())
    read.Fail("fewshot_config is not a list of names and values");
  const TaskJson& shots = read.At("num_fewshot");
  if (shots.is_number_integer() && shots.get<int64_t>() >= 0)
    config.num_fewshot = shots.get<size_t>();
  const TaskJson& process = read.At("process_results");
  if (process.is_object() && process.contains(kFunctionKey)) {
    config.process_results = PythonString(process[kFunctionKey]);
    if (std::find(kFunctions.begin(), kFunctions.end(), config.process_results) ==
        kFunctions.end()) {
      read.FailFunction("process_results", process);
    }
  }
  if (config.output == TaskOutput::kMultipleChoice && config.doc_to_choice.is_null()) {
    read.Fail("multiple_choice needs doc_to_choice");
  }
  config.metrics = MetricsOf(read, config);
  config.filters = FiltersOf(read);
  ReadGeneration(read, config);
  config.metadata = read.At("metadata");
  return config;
}

std::vector<TaskJson> ExpandedTasks(const TaskJson& fields) {
  const auto metadata = fields.find("metadata");
  if (metadata == fields.end() || !metadata->is_object() || !metadata->contains("names"))
    return {fields};
  std::vector<TaskJson> out;
  TaskJson rest = fields;
  rest["metadata"].erase("names");
  for (const auto& [name, words] : (*metadata)["names"].items()) {
    std::vector<std::pair<std::string, std::string>> all = {{"name", name}};
    for (const auto& [word, with] : words.items()) all.emplace_back(word, PythonString(with));
    out.push_back(Substituted(rest, all));
  }
  return out;
}

}  // namespace linnet
