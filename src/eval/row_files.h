// Rows of data sets from the files in which they are published.
#ifndef LINNET_EVAL_ROW_FILES_H_
#define LINNET_EVAL_ROW_FILES_H_

#include <filesystem>
#include <string>
#include <vector>

#include "eval/python_text.h"

namespace linnet {

using TaskRows = std::vector<TaskJson>;  // objects

struct RowFileOptions {
  // The names of the columns of csv and tsv files that have no line of names.
  std::vector<std::string> columns{};
};

// The rows of a .jsonl, .json, .csv, .tsv, .parquet or .arrow file. A .json file is a list of rows,
// one object (a single row), or lines. Columns of csv and tsv files are numbers if all of their
// values are. Throws Error kIo, or kBadInput naming the file, the line and what was expected; for
// Parquet and Arrow also if this program was built without Arrow.
TaskRows ReadRowFile(const std::filesystem::path& path, const RowFileOptions& options = {});

// Rows of Parquet and Arrow files (arrow_rows.cc). Throws as ReadRowFile.
TaskRows ReadArrowFile(const std::filesystem::path& path);
bool CanReadArrow();

// The files of DIR, or of FOLDER in it, that the first of these names that fits means, in order; a
// name may end in a pattern with `*`. Empty if none fits.
std::vector<std::filesystem::path> FindDataFiles(const std::filesystem::path& dir,
                                                 const std::vector<std::string>& names);

// Rows of published files in the fields of their Hugging Face data set: `form` names the
// difference (public_forms.cc). `file` is where the rows are from, since some labels are in a file
// beside it. Throws Error kIo, kBadInput.
TaskRows InPublicForm(const std::string& form, TaskRows rows, const std::filesystem::path& file);

}  // namespace linnet

#endif  // LINNET_EVAL_ROW_FILES_H_
