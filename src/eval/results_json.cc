#include <algorithm>
#include <set>

#include "eval/evaluation.h"

namespace linnet {
namespace {

void AddValues(const std::vector<TaskValue>& values, TaskJson& out) {
  for (const TaskValue& value : values) {
    out[value.metric + "," + value.filter] = value.value;
    out[value.metric + "_stderr," + value.filter] =
        value.error ? TaskJson(*value.error) : TaskJson("N/A");
  }
}

TaskJson VersionOf(const TaskJson& metadata) {
  return metadata.is_object() && metadata.contains("version") ? metadata["version"]
                                                              : TaskJson("Yaml");
}

// The groups below the names, the names themselves included.
void CollectGroups(const TaskLibrary& library, const std::string& name,
                   std::set<std::string>& groups) {
  const TaskGroup* group = library.FindGroup(name);
  if (group == nullptr || !groups.insert(name).second) return;
  for (const std::string& member : group->members) CollectGroups(library, member, groups);
}

}  // namespace

TaskJson ResultsJson(const TaskLibrary& library, std::span<const std::string> names,
                     std::span<const TaskResult> results) {
  TaskJson out = {{"results", TaskJson::object()}};
  TaskJson groups = TaskJson::object(), subtasks = TaskJson::object(), configs = TaskJson::object();
  TaskJson versions = TaskJson::object(), shots = TaskJson::object(), better = TaskJson::object();
  TaskJson counts = TaskJson::object();
  for (const TaskResult& result : results) {
    const std::string& name = result.task->task;
    TaskJson& values = out["results"][name];
    values = {{"name", name}, {"alias", result.task->alias}, {"sample_len", result.evaluated}};
    AddValues(result.values, values);
    configs[name] = result.task->fields;
    configs[name]["num_fewshot"] = result.num_fewshot;
    configs[name]["files"] = result.files;
    versions[name] = VersionOf(result.task->metadata);
    shots[name] = result.num_fewshot;
    for (const TaskMetric& metric : result.task->metrics)
      better[name][metric.name] = metric.higher_is_better;
    counts[name] = {{"original", result.rows}, {"effective", result.evaluated}};
  }
  std::set<std::string> wanted;
  for (const std::string& name : names) CollectGroups(library, name, wanted);
  for (const std::string& name : wanted) {
    const TaskGroup& group = *library.FindGroup(name);
    size_t rows = 0;
    const std::vector<TaskValue> found = GroupValues(library, group, results, rows);
    TaskJson values = {{"alias", group.alias}, {"name", name}};
    if (!found.empty()) {
      values["sample_len"] = rows;
      AddValues(found, values);
      groups[name] = values;
    }
    out["results"][name] = values;
    versions[name] = VersionOf(group.metadata);
    TaskJson members = TaskJson::array();
    for (const std::string& member : group.members) {
      if (library.FindGroup(member) != nullptr)
        members.push_back(member);
      else
        for (const TaskConfig* task : library.Resolve(member)) members.push_back(task->task);
    }
    subtasks[name] = members;
  }
  if (!groups.empty()) out["groups"] = groups;
  out["group_subtasks"] = subtasks;
  out["configs"] = configs;
  out["versions"] = versions;
  out["n-shot"] = shots;
  out["higher_is_better"] = better;
  out["n-samples"] = counts;
  return out;
}

}  // namespace linnet
