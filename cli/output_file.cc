#include "cli/output_file.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "base/atomic_file.h"
#include "io/tensor_file.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

// Files next to a checkpoint that are read without being named.
constexpr const char* kBeside[] = {"config.json", "tokenizer.json", "20B_tokenizer.json",
                                   "init_pissa.pth"};

bool MayBeRead(const fs::path& file) {
  const std::string ending = file.extension().string();
  return ending == ".safetensors" || ending == ".pth" || ending == ".gguf" || ending == ".bin" ||
         ending == ".json" || ending == ".jsonl";
}

// The files that an argument of the command line means; empty if it is not a file.
std::vector<fs::path> FilesBehind(const std::string& word) {
  std::error_code error;
  if (!fs::exists(word, error)) {
    const size_t colon = word.rfind(':');  // FILE:SCALE
    return colon == word.npos || colon == 0 ? std::vector<fs::path>()
                                            : FilesBehind(word.substr(0, colon));
  }
  std::vector<fs::path> files = {word};
  const bool folder = fs::is_directory(word, error);
  try {
    for (const fs::path& file : FilesOf(word)) files.push_back(file);
  } catch (const std::exception&) {  // not one model; the command may read any of these
    for (const auto& entry : fs::directory_iterator(word, error)) {
      if (MayBeRead(entry.path())) files.push_back(entry.path());
    }
  }
  if (folder || IsCheckpoint(word)) {
    const fs::path place = folder ? fs::path(word) : fs::path(word).parent_path();
    for (const char* name : kBeside) files.push_back(place / name);
  }
  return files;
}

bool IsStdin(const fs::path& path) {
  struct stat input = {}, output = {};
  return fstat(STDIN_FILENO, &input) == 0 && S_ISREG(input.st_mode) &&
         stat(path.c_str(), &output) == 0 && input.st_dev == output.st_dev &&
         input.st_ino == output.st_ino;
}

bool IsInput(const CommonOptions& common, const CLI::Option* option) {
  const auto in = [&](const std::vector<const CLI::Option*>& list) {
    return std::find(list.begin(), list.end(), option) != list.end();
  };
  return option->count() > 0 && !in(common.outputs) && !in(common.stems);
}

// The name of the input that is this file; empty if it is not an input.
std::string InputThatIs(const CommonOptions& common, const OutputFile& out) {
  std::error_code error;
  const auto same = [&](const fs::path& file) { return fs::equivalent(file, out.path, error); };
  for (const CLI::Option* option : common.command->get_options()) {
    if (!IsInput(common, option)) continue;
    const std::string name = option->get_name();
    if (out.rewrites != nullptr && name == out.rewrites) continue;
    for (const std::string& word : option->results()) {
      const auto files = FilesBehind(word);
      if (std::any_of(files.begin(), files.end(), same)) return name + " " + word;
    }
  }
  for (const fs::path& file : common.inputs) {
    if (same(file)) return file.string();
  }
  return IsStdin(out.path) ? "stdin" : "";
}

bool Matches(const OutputKind& kind, const fs::path& path) {
  try {
    return kind.matches(path);
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace

void AddOverwrite(CLI::App& command, CommonOptions& common) {
  if (command.get_option_no_throw("--overwrite") != nullptr) return;
  command
      .add_flag("--overwrite", common.overwrite, "Also replace a file of another or unknown kind")
      ->group("Common");
}

CLI::Option* AddOutput(CLI::App& command, CommonOptions& common, const std::string& name,
                       std::string& value, const std::string& help) {
  AddOverwrite(command, common);
  CLI::Option* option = command.add_option(name, value, help);
  common.outputs.push_back(option);
  return option;
}

void AddInput(CommonOptions& common, const fs::path& path) { common.inputs.push_back(path); }

void CheckReplaces(const CommonOptions& common, const OutputFile& out) {
  std::error_code error;
  if (!fs::is_regular_file(out.path, error)) return;
  const std::string input = InputThatIs(common, out);
  if (!input.empty()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("{}: is read by this command ({}), so it is not written; write to "
                            "another file",
                            out.path.string(), input));
  }
  if (common.overwrite || fs::file_size(out.path, error) == 0) return;
  if (Matches(out.kind, out.path)) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}: exists and holds {}, not {}; write to another file, or give {} to "
                          "replace it",
                          out.path.string(), ContentOf(out.path), out.kind.name, out.overwrite));
}

void CheckOutput(const CommonOptions& common, const OutputFile& out) {
  CheckReplaces(common, out);
  std::error_code error;
  if (fs::is_other(fs::status(out.path, error))) return;
  const InterruptScope interrupt;  // so that Ctrl-C leaves no file
  { const AtomicFile trial{out.path}; }
  InterruptScope::Check();
}

}  // namespace linnet::cli
