// InputHistory: what was typed in earlier talks, in a file.
#ifndef LINNET_CLI_INPUT_HISTORY_H_
#define LINNET_CLI_INPUT_HISTORY_H_

#include <filesystem>
#include <string>
#include <vector>

namespace linnet::cli {

// One entry a line, only the user may read it, at most 1000 entries when it is opened. Nothing
// fails if it cannot be read or written: then it is not kept. Several programs may add to one file.
class InputHistory {
 public:
  // Kept nowhere.
  InputHistory() = default;
  explicit InputHistory(std::filesystem::path path);

  const std::vector<std::string>& entries() const { return entries_; }  // those found, oldest first

  // Written at once.
  void Add(const std::string& entry);

 private:
  void Trim() const;

  std::filesystem::path path_;  // empty: nowhere
  std::vector<std::string> entries_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_INPUT_HISTORY_H_
