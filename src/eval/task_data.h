// TaskData: where the rows of a task are.
#ifndef LINNET_EVAL_TASK_DATA_H_
#define LINNET_EVAL_TASK_DATA_H_

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "eval/row_files.h"
#include "eval/task_config.h"

namespace linnet {

// Reads the splits of tasks from files below one folder. Files that several tasks read, as MMLU's,
// are read once. Not thread-safe.
class TaskData {
 public:
  explicit TaskData(std::filesystem::path dir) : dir_(std::move(dir)) {}

  // The rows of a split: of dataset_kwargs.data_files if the task names its files, else of the
  // first of metadata.files that is in the folder, or in its folder DATASET, else of
  // DATASET[/NAME]/SPLIT*. Rows that metadata.where excludes are left out. Throws Error kBadInput
  // that lists the names if there is no file, and what ReadRowFile throws.
  TaskRows Load(const TaskConfig& task, const std::string& split);

  // The files of the last Load.
  const std::vector<std::filesystem::path>& files() const { return files_; }

 private:
  const TaskRows& Read(const std::filesystem::path& path, const TaskConfig& task);
  std::vector<std::filesystem::path> FilesOf(const TaskConfig& task,
                                             const std::string& split) const;

  std::filesystem::path dir_;
  std::vector<std::filesystem::path> files_;
  // By path and form. Only the last few, since a task's rows may be large.
  std::vector<std::pair<std::string, TaskRows>> read_;
};

}  // namespace linnet

#endif  // LINNET_EVAL_TASK_DATA_H_
