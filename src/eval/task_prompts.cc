#include "eval/task_prompts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/answer_filters.h"
#include "eval/python_random.h"
#include "eval/template.h"
#include "linnet/error.h"

namespace linnet {
namespace {

bool IsDigits(const std::string& text) {
  return !text.empty() && text.size() < 18 &&
         text.find_first_not_of("0123456789") == std::string::npos;
}

// The last or first character is a blank.
bool EndsBlank(const std::string& text) { return !text.empty() && StripRight(text) != text; }
bool BeginsBlank(const std::string& text) { return !text.empty() && StripLeft(text) != text; }

// A field of a task: the name of a column, a template, or a value for all rows.
class TaskField {
 public:
  explicit TaskField(const TaskJson& field) : field_(field) {
    if (field.is_string()) template_.emplace(field.get_ref<const std::string&>());
  }
  bool is_set() const { return !field_.is_null(); }

  // The text of a template, or another kind of value; `rendered` says which.
  TaskJson Of(const TaskJson& row, bool& rendered) const {
    rendered = false;
    if (!field_.is_string()) return field_;
    const std::string& text = field_.get_ref<const std::string&>();
    if (const auto it = row.find(text); it != row.end()) return *it;
    rendered = true;
    return template_->Render(row);
  }

 private:
  TaskJson field_;
  std::optional<Template> template_;
};

// Makes the prompts of one task.
class PromptBuilder {
 public:
  PromptBuilder(const TaskConfig& task, size_t shots)
      : task_(task),
        shots_(shots),
        text_(task.doc_to_text),
        target_(task.doc_to_target),
        choice_(task.doc_to_choice),
        shot_text_(Fewshot("doc_to_text", task.doc_to_text)),
        shot_target_(Fewshot("doc_to_target", task.doc_to_target)),
        shot_choice_(Fewshot("doc_to_choice", task.doc_to_choice)),
        description_(TaskJson(task.description)),
        prefix_(TaskJson(task.gen_prefix)),
        shot_prefix_(Fewshot("gen_prefix", task.gen_prefix)) {}

  // Which rows examples are taken from; nullopt: the task's own list.
  std::optional<std::string> ShotSplit() const {
    if (task_.fewshot.is_object() && task_.fewshot.contains("split"))
      return PythonString(task_.fewshot["split"]);
    if (task_.fewshot_split) return task_.fewshot_split;
    if (task_.fewshot.is_object() && task_.fewshot.contains("samples")) return std::nullopt;
    if (task_.training_split) return task_.training_split;
    return task_.validation_split ? task_.validation_split : task_.test_split;
  }

  void SetShots(TaskRows rows) {
    pool_ = std::move(rows);
    if (!task_.fewshot.is_object() || !task_.fewshot.contains("fewshot_indices")) return;
    TaskRows chosen;
    for (const TaskJson& index : task_.fewshot["fewshot_indices"]) {
      if (!index.is_number_unsigned() && !index.is_number_integer())
        Fail("fewshot_indices are not numbers");
      if (index.get<size_t>() >= pool_.size()) Fail("fewshot_indices are beyond the rows");
      chosen.push_back(pool_[index.get<size_t>()]);
    }
    pool_ = std::move(chosen);
  }

  TaskDocument Document(const TaskJson& row, PythonRandom& random) {
    TaskDocument document;
    if (choice_.is_set()) document.choices = Choices(choice_, row);
    const TaskJson text = Text(text_, row);
    if (!seen_) many_inputs_ = text.is_number_integer() && choice_.is_set();
    document.gold = task_.output == TaskOutput::kRolling && !target_.is_set()
                        ? TaskJson("")
                        : Target(target_, row);
    seen_ = true;
    // The harness draws examples also for rows whose context does not use them.
    std::string before = Described(row);
    for (const TaskJson& shot : Shots(row, random)) before += Shot(shot);
    const bool has_prefix = !task_.gen_prefix.empty();
    const std::string prefix = has_prefix ? PlainText(prefix_, row) : "";
    const auto context = [&](const std::string& question, const std::string& delimiter) {
      const bool apart =
          has_prefix && !question.empty() && !EndsBlank(question) && !BeginsBlank(prefix);
      return before + question + (apart ? delimiter : "") + prefix;
    };
    switch (task_.output) {
      case TaskOutput::kRolling:
        document.pairs.push_back({"", TargetText(document.gold)});
        break;
      case TaskOutput::kLogLikelihood:
        document.pairs.push_back(
            {context(AsText(text), task_.target_delimiter), TargetText(document.gold)});
        break;
      case TaskOutput::kGenerateUntil:
        document.prompt = context(AsText(text), task_.target_delimiter);
        break;
      case TaskOutput::kMultipleChoice:
        AddChoices(document, text, context);
        break;
    }
    return document;
  }

 private:
  template <class F>
  void AddChoices(TaskDocument& document, const TaskJson& text, const F& context) {
    if (many_inputs_) {
      const std::string target = task_.target_delimiter + TargetText(document.gold);
      for (const std::string& choice : document.choices)
        document.pairs.push_back({context(choice, ""), target});
      document.gold = text;
    } else {
      const std::string before = context(AsText(text), task_.target_delimiter);
      for (const std::string& choice : document.choices) {
        document.pairs.push_back({before, task_.target_delimiter + choice});
      }
    }
    const bool mutual =
        std::any_of(task_.metrics.begin(), task_.metrics.end(),
                    [](const TaskMetric& m) { return m.name == "acc_mutual_info"; });
    for (size_t i = 0; mutual && i < document.choices.size(); ++i) {
      document.pairs.push_back({"", task_.target_delimiter + document.choices[i]});
    }
  }

  TaskField Fewshot(const char* name, const TaskJson& otherwise) const {
    const bool own = task_.fewshot.is_object() && task_.fewshot.contains(name);
    return TaskField(own ? task_.fewshot[name] : otherwise);
  }
  std::string FewshotText(const char* name, const std::string& otherwise) const {
    const bool own = task_.fewshot.is_object() && task_.fewshot.contains(name);
    return own ? PythonString(task_.fewshot[name]) : otherwise;
  }

  [[noreturn]] void Fail(const std::string& what) const { throw Error(ErrorKind::kBadInput, what); }

  static std::string AsText(const TaskJson& value) { return PythonString(value); }

  static std::string PlainText(const TaskField& field, const TaskJson& row) {
    bool rendered = false;
    return PythonString(field.Of(row, rendered));
  }

  std::string Described(const TaskJson& row) const {
    return task_.description.empty() ? "" : PlainText(description_, row);
  }

  // A number means the choice of that number.
  TaskJson Text(const TaskField& field, const TaskJson& row) const {
    bool rendered = false;
    const TaskJson value = field.Of(row, rendered);
    if (rendered && choice_.is_set() && IsDigits(value.get_ref<const std::string&>())) {
      return std::stoll(value.get_ref<const std::string&>());
    }
    return value;
  }

  TaskJson Target(const TaskField& field, const TaskJson& row) const {
    if (!field.is_set()) Fail("the task has no doc_to_target");
    bool rendered = false;
    TaskJson value = field.Of(row, rendered);
    if (value.is_boolean()) value = value.get<bool>() ? 1 : 0;  // as Python's True is 1
    if (!rendered) return value;
    const std::string& text = value.get_ref<const std::string&>();
    if (choice_.is_set() && IsDigits(text)) return std::stoll(text);
    if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
      try {
        return ParsePythonValue(text);
      } catch (const Error&) {  // a text in brackets
      }
    }
    return value;
  }

  std::string TargetText(const TaskJson& target) const {
    if (target.is_array()) return target.empty() ? "" : PythonString(target[0]);
    return PythonString(target);
  }

  std::vector<std::string> Choices(const TaskField& field, const TaskJson& row) const {
    bool rendered = false;
    TaskJson value = field.Of(row, rendered);
    if (rendered) value = ParsePythonValue(value.get_ref<const std::string&>());
    if (!value.is_array() || value.empty()) {
      Fail(fmt::format("doc_to_choice gives {}, expected a list of texts",
                       PythonRepr(value).substr(0, 80)));
    }
    std::vector<std::string> choices;
    for (const TaskJson& one : value) choices.push_back(PythonString(one));
    return choices;
  }

  std::vector<TaskJson> Shots(const TaskJson& row, PythonRandom& random) const {
    if (shots_ == 0) return {};
    const auto other = [&](const TaskJson& x) { return x != row; };
    // Only if examples are from the rows that are evaluated, as far as the harness sees.
    const bool same = (task_.fewshot.is_object() && task_.fewshot.contains("split")
                           ? std::optional(PythonString(task_.fewshot["split"]))
                           : task_.fewshot_split) == task_.test_split;
    const std::string sampler = FewshotText("sampler", "default");
    std::vector<TaskJson> out;
    if (sampler == "first_n") {
      for (const TaskJson& shot : pool_) {
        if (out.size() < shots_ && (!same || other(shot))) out.push_back(shot);
      }
      if (out.size() < shots_)
        Fail(fmt::format("there are {} examples, expected {}", out.size(), shots_));
      return out;
    }
    if (sampler != "default") Fail(fmt::format("the sampler {} is not known here", sampler));
    const size_t draw = shots_ + (same ? 1 : 0);
    if (pool_.size() < draw)
      Fail(fmt::format("there are {} rows to take examples from, expected {}", pool_.size(), draw));
    for (const size_t i : random.Sample(pool_.size(), draw)) {
      if (out.size() < shots_ && (!same || other(pool_[i]))) out.push_back(pool_[i]);
    }
    if (out.size() == shots_) return out;
    std::vector<const TaskJson*> rest;
    for (const TaskJson& shot : pool_) {
      if (other(shot)) rest.push_back(&shot);
    }
    if (rest.size() < shots_)
      Fail(
          fmt::format("there are {} rows to take examples from, expected {}", rest.size(), shots_));
    out.clear();
    for (const size_t i : random.Sample(rest.size(), shots_)) out.push_back(*rest[i]);
    return out;
  }

  // An example: its question, its answer, and the delimiter before the next.
  std::string Shot(const TaskJson& row) const {
    TaskJson question = Text(shot_text_, row);
    const TaskJson answer = Target(shot_target_, row);
    std::vector<std::string> choices;
    if (shot_choice_.is_set()) choices = Choices(shot_choice_, row);
    const auto choice = [&](const TaskJson& number) {
      const auto at = number.get<size_t>();
      if (number.get<int64_t>() < 0 || at >= choices.size())
        Fail(fmt::format("an example has no choice {}", number.dump()));
      return choices[at];
    };
    if (many_inputs_ && question.is_number_integer()) question = choice(question);
    std::string text = answer.is_number_integer() && !choices.empty() && !many_inputs_
                           ? choice(answer)
                           : TargetText(answer);
    std::string prefix = FewshotText("gen_prefix", task_.gen_prefix);
    if (!prefix.empty()) prefix = PlainText(shot_prefix_, row);
    const std::string asked = AsText(question);
    // The harness puts the delimiter before a prefix only where neither side has a blank, and an
    // example without an answer has no delimiter behind it.
    const bool answered = !answer.is_string() || !text.empty();
    const bool apart =
        prefix.empty() ? answered : !asked.empty() && !EndsBlank(asked) && !BeginsBlank(prefix);
    if (!prefix.empty() && !text.empty()) {
      text = prefix + (EndsBlank(prefix) || BeginsBlank(text) ? "" : " ") + text;
    } else if (text.empty()) {
      text = prefix;
    }
    return asked + (apart ? FewshotText("target_delimiter", task_.target_delimiter) : "") + text +
           (answered ? FewshotText("fewshot_delimiter", task_.fewshot_delimiter) : "");
  }

  const TaskConfig& task_;
  size_t shots_;
  TaskField text_, target_, choice_, shot_text_, shot_target_, shot_choice_, description_, prefix_,
      shot_prefix_;
  TaskRows pool_;
  bool seen_ = false, many_inputs_ = false;
};

}  // namespace

TaskPrompts::TaskPrompts(const TaskConfig& task, TaskData& data, const TaskOptions& options)
    : task_(task) {
  // A task that says 0 means it: the harness ignores other numbers then.
  const bool fixed = task.num_fewshot && *task.num_fewshot == 0;
  shots_ = fixed ? 0 : options.num_fewshot.value_or(task.num_fewshot.value_or(0));
  rows_ = data.Load(task, task.eval_split());
  files_ = data.files();
  size_t wanted = rows_.size();
  if (options.limit >= 1) {
    wanted = std::min(wanted, static_cast<size_t>(options.limit));
  } else if (options.limit > 0) {
    wanted = static_cast<size_t>(std::ceil(options.limit * static_cast<double>(wanted)));
  }
  size_t at = 0;
  try {
    PromptBuilder builder(task, shots_);
    if (shots_ > 0) {
      const std::optional<std::string> split = builder.ShotSplit();
      TaskRows pool;
      if (split)
        pool = data.Load(task, *split);
      else
        for (const TaskJson& row : task.fewshot["samples"]) pool.push_back(row);
      builder.SetShots(std::move(pool));
    }
    PythonRandom random(options.fewshot_seed);
    for (; at < wanted; ++at) {
      documents_.push_back(builder.Document(rows_[at], random));
      documents_.back().id = at;
    }
  } catch (const Error& error) {
    const std::string what = error.what();
    if (what.starts_with("task ")) throw;
    throw Error(error.kind(),
                fmt::format("task {}: row {} of {}: {}", task.task, at, files_[0].string(), what));
  }
}

TaskPrompts::~TaskPrompts() = default;
TaskPrompts::TaskPrompts(TaskPrompts&&) noexcept = default;

}  // namespace linnet
