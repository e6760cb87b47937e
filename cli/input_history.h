// InputHistory: the input of earlier chats, in a file.
#ifndef LINNET_CLI_INPUT_HISTORY_H_
#define LINNET_CLI_INPUT_HISTORY_H_

#include <filesystem>
#include <string>
#include <vector>

namespace linnet::cli {

// One entry per line, readable only by the user, cut to 1000 entries when opened. Read and write
// errors are ignored; entries are then not saved. Several programs may append to one file.
class InputHistory {
 public:
  // Without a file.
  InputHistory() = default;
  explicit InputHistory(std::filesystem::path path);

  const std::vector<std::string>& entries() const {
    return entries_;
  }  // from the file, oldest first

  // Writes to the file at once.
  void Add(const std::string& entry);

 private:
  void Trim() const;

  std::filesystem::path path_;  // empty: no file
  std::vector<std::string> entries_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_INPUT_HISTORY_H_
