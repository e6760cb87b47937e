// Input texts of commands: files, or stdin if the name is "-".
#ifndef LINNET_CLI_TEXTS_H_
#define LINNET_CLI_TEXTS_H_

#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

// Reads the bytes of a file or of stdin. Input from a terminal ends at one Ctrl-D, even in the
// middle of a line, where stdio needs two; a message on stderr says that it waits.
class ByteSource {
 public:
  // Throws Error kIo with the reason if the file cannot be read.
  explicit ByteSource(const std::string& path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }  // the path, or "stdin"
  // Empty at the end; valid until the next call. Throws Error kIo.
  std::string_view Next();
  // The rest of the input.
  std::string Rest();
  // False at the end; a last line without a line break counts.
  bool ReadLine(std::string& line);

 private:
  std::string name_;
  int fd_;
  bool terminal_ = false, ended_ = false;
  std::vector<char> buffer_;
  std::string_view left_;  // unread part of the buffer, for ReadLine
};

// Reads a whole file. Throws Error kIo, also if it is empty.
std::string ReadText(const std::string& path);

// Throws what ReadText would throw, for a file that is read later; pipes and stdin are accepted.
void CheckText(const std::string& path);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TEXTS_H_
