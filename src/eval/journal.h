// EvalJournal: answers of a model that were found before, so that a long evaluation goes on where
// it was stopped.
#ifndef LINNET_EVAL_JOURNAL_H_
#define LINNET_EVAL_JOURNAL_H_

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>

#include "eval/answers.h"
#include "eval/scoring.h"

namespace linnet {

// A file of one JSON object a line, which grows by a line for each answer. Lines name what was
// asked by a hash of its tokens, and belong to one execution identity (Model::Identity); lines of
// others, and a last line that was cut, are ignored. Not thread-safe.
class EvalJournal {
 public:
  // Without a file: nothing is kept.
  EvalJournal() = default;
  // Reads what is in the file, and in those of other processes (`path`.1, ...), and appends to it.
  // `process` above 0 appends to `path`.PROCESS. Throws Error kIo.
  EvalJournal(const std::filesystem::path& path, std::string identity, size_t process = 0);

  std::optional<TokenScore> Find(const TokenRequest& request) const;
  std::optional<std::string> Find(const AnswerRequest& request) const;
  // Throw Error kIo if the file cannot be written.
  void Add(const TokenRequest& request, const TokenScore& score);
  void Add(const AnswerRequest& request, const std::string& text);

  size_t found() const { return scores_.size() + texts_.size(); }  // when it was opened
  // Removes the files, once nothing is left to be done.
  void Remove();

 private:
  void Read(const std::filesystem::path& path);
  void Write(const std::string& line);

  std::filesystem::path path_, own_;
  std::string identity_;
  std::ofstream out_;
  std::map<std::string, TokenScore> scores_;
  std::map<std::string, std::string> texts_;
};

}  // namespace linnet

#endif  // LINNET_EVAL_JOURNAL_H_
