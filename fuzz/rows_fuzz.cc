// Fuzzes the readers of rows. The first byte chooses the kind of file, and the form of the rows.
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "base/scratch_folder.h"
#include "eval/row_files.h"
#include "fuzz_target.h"
#include "linnet/error.h"

LINNET_FUZZ_TARGET(rows) {
  if (size == 0) return;
  static const linnet::test::TemporaryFolder folder;
  constexpr std::array kEndings = {".jsonl", ".json", ".csv", ".tsv"};
  constexpr std::array kForms = {"",           "ai2",    "headqa",   "piqa",
                                 "storycloze", "record", "triviaqa", "mmlu"};
  const std::string text(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto path = folder.Write(std::string("rows") + kEndings[data[0] % kEndings.size()], text);
  try {
    linnet::TaskRows rows = linnet::ReadRowFile(path);
    linnet::InPublicForm(kForms[data[0] / kEndings.size() % kForms.size()], std::move(rows), path);
  } catch (const linnet::Error&) {
  }
}
