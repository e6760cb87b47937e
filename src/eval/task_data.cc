#include "eval/task_data.h"

#include <fmt/format.h>

#include <algorithm>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Files that are kept for the next task.
constexpr size_t kKept = 4;

TaskJson Entry(const TaskJson& object, const char* name) {
  return object.is_object() && object.contains(name) ? object[name] : TaskJson();
}

std::vector<std::string> Names(const TaskJson& value) {
  std::vector<std::string> out;
  if (value.is_string()) out.push_back(value.get<std::string>());
  if (value.is_array())
    for (const TaskJson& one : value) out.push_back(PythonString(one));
  return out;
}

// aps/super_glue: super_glue.
std::string FolderOf(const TaskConfig& task) {
  return task.dataset_path.substr(task.dataset_path.rfind('/') + 1);
}

std::vector<std::string> CandidatesOf(const TaskConfig& task, const std::string& split) {
  std::vector<std::string> out;
  const std::string folder = FolderOf(task);
  const TaskJson files = Entry(Entry(task.metadata, "files"), split.c_str());
  for (const std::string& name : Names(files)) {
    out.push_back(name);
    out.push_back(fmt::format("{}/{}", folder, name));
  }
  if (folder.empty()) return out;
  std::vector<std::string> places = {folder, folder + "/data"};
  if (!task.dataset_name.empty())
    places.insert(places.begin(), fmt::format("{}/{}", folder, task.dataset_name));
  for (const std::string& place : places) {
    for (const char* ending : {"parquet", "arrow", "jsonl", "json", "csv", "tsv"}) {
      out.push_back(fmt::format("{}/{}.{}", place, split, ending));
      out.push_back(fmt::format("{}/{}-*.{}", place, split, ending));
    }
  }
  return out;
}

bool Wanted(const TaskJson& row, const TaskJson& where) {
  if (!where.is_object()) return true;
  for (const auto& [name, value] : where.items()) {
    if (row.contains(name) && row[name] != value) return false;
  }
  return true;
}

}  // namespace

std::vector<fs::path> TaskData::FilesOf(const TaskConfig& task, const std::string& split) const {
  const TaskJson given = Entry(task.dataset_kwargs, "data_files");
  if (!given.is_null()) {
    const TaskJson named = given.is_object() ? Entry(given, split.c_str()) : given;
    const fs::path place =
        task.folder / PythonString(Entry(task.dataset_kwargs, "data_dir").is_null()
                                       ? TaskJson("")
                                       : Entry(task.dataset_kwargs, "data_dir"));
    std::vector<fs::path> out;
    for (const std::string& name : Names(named)) {
      const std::vector<fs::path> found = FindDataFiles(place, {name});
      if (found.empty()) {
        throw Error(ErrorKind::kIo,
                    fmt::format("task {}: no file {}", task.task, (place / name).string()));
      }
      out.insert(out.end(), found.begin(), found.end());
    }
    if (!out.empty()) return out;
    throw Error(ErrorKind::kBadInput,
                fmt::format("task {}: data_files names no file of the split {}", task.task, split));
  }
  const std::vector<std::string> names = CandidatesOf(task, split);
  std::vector<fs::path> found = FindDataFiles(dir_, names);
  if (!found.empty()) return found;
  std::string expected;
  for (const std::string& name : Names(Entry(Entry(task.metadata, "files"), split.c_str()))) {
    expected += name + ", ";
  }
  throw Error(ErrorKind::kBadInput,
              fmt::format("task {}: no rows of the split {} in {}; expected {}{}/{}*.parquet or "
                          "the same as .jsonl, .json, "
                          ".csv, .tsv, .arrow",
                          task.task, split, dir_.empty() ? "." : dir_.string(), expected,
                          FolderOf(task).empty() ? "DATASET" : FolderOf(task), split));
}

const TaskRows& TaskData::Read(const fs::path& path, const TaskConfig& task) {
  const TaskJson form = Entry(task.metadata, "form");
  const std::string key = path.string() + "\n" + PythonString(form);
  const auto found =
      std::find_if(read_.begin(), read_.end(), [&](const auto& one) { return one.first == key; });
  if (found != read_.end()) return found->second;
  RowFileOptions options;
  options.columns = Names(Entry(task.metadata, "columns"));
  TaskRows rows =
      InPublicForm(form.is_null() ? "" : PythonString(form), ReadRowFile(path, options), path);
  if (read_.size() == kKept) read_.erase(read_.begin());
  read_.emplace_back(key, std::move(rows));
  return read_.back().second;
}

TaskRows TaskData::Load(const TaskConfig& task, const std::string& split) {
  files_ = FilesOf(task, split);
  const TaskJson where = Entry(task.metadata, "where");
  TaskRows out;
  for (const fs::path& path : files_) {
    for (const TaskJson& row : Read(path, task)) {
      if (Wanted(row, where)) out.push_back(row);
    }
  }
  if (out.empty()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: has no row for the task {}", files_[0].string(), task.task));
  }
  return out;
}

}  // namespace linnet
