#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>

#include "eval/task_config.h"
#include "eval/task_names.h"
#include "eval/yaml_value.h"
#include "linnet/error.h"

// cmake/tasks.cmake sets the paths; the assembler embeds the files.
#define LINNET_TASK_FILE(name, path) \
  asm(".pushsection .rodata\n" name  \
      ":\n"                          \
      ".incbin \"" path              \
      "\"\n"                         \
      ".byte 0\n"                    \
      ".popsection\n")
LINNET_TASK_FILE("linnet_english_tasks", LINNET_ENGLISH_TASKS);
LINNET_TASK_FILE("linnet_multilingual_tasks", LINNET_MULTILINGUAL_TASKS);
LINNET_TASK_FILE("linnet_mmlu_tasks", LINNET_MMLU_TASKS);
extern "C" const char linnet_english_tasks[], linnet_multilingual_tasks[], linnet_mmlu_tasks[];

namespace linnet {
namespace {

namespace fs = std::filesystem;

// A file of fields is small; a group's members may be groups, but not forever.
constexpr uint64_t kLargestTaskFile = 16 << 20;
constexpr size_t kGroupDepth = 16, kIncludeDepth = 16;

std::string ReadTaskFile(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  std::ifstream in(path, std::ios::binary);
  if (error || !in) throw Error(ErrorKind::kIo, fmt::format("{}: cannot be read", path.string()));
  if (size > kLargestTaskFile) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: has {} bytes, expected a task's YAML file", path.string(), size));
  }
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// The fields of a file's documents over those of the files that they include.
std::vector<TaskJson> FieldsOf(const fs::path& path, size_t depth) {
  if (depth > kIncludeDepth) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: files include one another in a circle", path.string()));
  }
  std::vector<TaskJson> documents = ParseYaml(ReadTaskFile(path), path.string());
  for (TaskJson& fields : documents) {
    if (!fields.is_object()) {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("{}: found {}, expected the fields of a task", path.string(),
                              PythonRepr(fields).substr(0, 80)));
    }
    if (!fields.contains("include")) continue;
    TaskJson names = fields["include"];
    if (!names.is_array()) names = TaskJson::array({names});
    TaskJson all = TaskJson::object();
    for (const TaskJson& name : names) {
      for (const TaskJson& included :
           FieldsOf(path.parent_path() / PythonString(name), depth + 1)) {
        all.update(included);
      }
    }
    fields.erase("include");
    all.update(fields);
    fields = all;
  }
  return documents;
}

TaskGroup ParseTaskGroup(const TaskJson& fields, const std::string& source) {
  TaskGroup group;
  group.name = PythonString(fields["group"]);
  group.alias = fields.contains("group_alias") ? PythonString(fields["group_alias"]) : group.name;
  const auto fail = [&](const std::string& what) {
    throw Error(ErrorKind::kBadInput, fmt::format("{}: group {}: {}", source, group.name, what));
  };
  const TaskJson members = fields.value("task", TaskJson::array());
  for (const TaskJson& member : members.is_array() ? members : TaskJson::array({members})) {
    if (!member.is_string())
      fail(fmt::format("found {}, expected the name of a task", PythonRepr(member).substr(0, 80)));
    group.members.push_back(member.get<std::string>());
  }
  const TaskJson aggregates = fields.value("aggregate_metric_list", TaskJson::array());
  for (const TaskJson& one : aggregates.is_array() ? aggregates : TaskJson::array({aggregates})) {
    if (!one.is_object() || !one.contains("metric"))
      fail("aggregate_metric_list needs a metric in each entry");
    if (one.value("aggregation", TaskJson("mean")) != TaskJson("mean"))
      fail("the only aggregation of a group is mean");
    group.aggregates.push_back({PythonString(one["metric"]),
                                one.value("weight_by_size", TaskJson(true)) != TaskJson(false)});
  }
  group.metadata = fields.value("metadata", TaskJson());
  return group;
}

}  // namespace

TaskLibrary::TaskLibrary() {
  std::vector<std::string> names;
  for (const char* text : {linnet_english_tasks, linnet_multilingual_tasks, linnet_mmlu_tasks}) {
    for (const TaskJson& fields : ParseYaml(text, "built-in tasks"))
      Add(fields, {}, "built-in tasks", names);
  }
}

std::vector<std::string> TaskLibrary::AddFile(const fs::path& path) {
  std::vector<std::string> names;
  for (const TaskJson& fields : FieldsOf(path, 0)) {
    try {
      Add(fields, path.parent_path(), path.string(), names);
    } catch (const Error& error) {
      const std::string what = error.what();
      if (what.starts_with(path.string())) throw;
      throw Error(error.kind(), fmt::format("{}: {}", path.string(), what));
    }
  }
  if (names.empty())
    throw Error(ErrorKind::kBadInput, fmt::format("{}: describes no task", path.string()));
  return names;
}

void TaskLibrary::Add(const TaskJson& fields, const fs::path& folder, const std::string& source,
                      std::vector<std::string>& names) {
  if (fields.contains("group")) {
    TaskGroup group = ParseTaskGroup(fields, source);
    names.push_back(group.name);
    const std::string name = group.name;
    groups_.insert_or_assign(name, std::move(group));
    return;
  }
  for (const TaskJson& one : ExpandedTasks(fields)) {
    TaskConfig config = ParseTaskConfig(one, folder);
    names.push_back(config.task);
    for (const std::string& tag : config.tags) {
      auto& tagged = tags_[tag];
      if (std::find(tagged.begin(), tagged.end(), config.task) == tagged.end())
        tagged.push_back(config.task);
    }
    const std::string name = config.task;
    tasks_.insert_or_assign(name, std::move(config));
  }
}

void TaskLibrary::Resolve(const std::string& name, size_t depth,
                          std::vector<const TaskConfig*>& out) const {
  if (const auto task = tasks_.find(name); task != tasks_.end()) {
    if (std::find(out.begin(), out.end(), &task->second) == out.end()) out.push_back(&task->second);
    return;
  }
  if (depth > kGroupDepth)
    throw Error(ErrorKind::kBadInput, fmt::format("group {}: contains itself", name));
  if (const auto group = groups_.find(name); group != groups_.end()) {
    for (const std::string& member : group->second.members) Resolve(member, depth + 1, out);
    return;
  }
  if (const auto tag = tags_.find(name); tag != tags_.end()) {
    for (const std::string& member : tag->second) Resolve(member, depth + 1, out);
    return;
  }
  std::string known;
  for (const std::string& other : Names()) {
    // Not the 57 subjects of MMLU one by one.
    if (other.starts_with("mmlu_") && other.find("rwkv") == std::string::npos) continue;
    if (other.starts_with("mmlu_rwkv_")) continue;
    known += (known.empty() ? "" : ", ") + other;
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("there is no task '{}'; there are {}, and YAML files", name, known));
}

std::vector<const TaskConfig*> TaskLibrary::Resolve(const std::string& name) const {
  std::vector<const TaskConfig*> out;
  Resolve(name, 0, out);
  return out;
}

const TaskGroup* TaskLibrary::FindGroup(const std::string& name) const {
  const auto it = groups_.find(name);
  return it == groups_.end() ? nullptr : &it->second;
}

std::vector<std::string> TaskLibrary::Names() const {
  std::set<std::string> names;
  for (const auto& [name, task] : tasks_) names.insert(name);
  for (const auto& [name, group] : groups_) names.insert(name);
  for (const auto& [name, tag] : tags_) names.insert(name);
  return {names.begin(), names.end()};
}

}  // namespace linnet
