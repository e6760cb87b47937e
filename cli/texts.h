// Texts that a command reads: files, or stdin where the name is "-".
#ifndef LINNET_CLI_TEXTS_H_
#define LINNET_CLI_TEXTS_H_

#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

// The bytes of a file or of stdin, from first to last. A terminal's end at one Ctrl-D, also in the
// middle of a line, where stdio would want two; that it waits is said on stderr.
class ByteSource {
 public:
  // Throws Error kIo that says why the file cannot be read.
  explicit ByteSource(const std::string& path);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }  // the path, or "stdin"
  // Empty at the end; valid until the next call. Throws Error kIo.
  std::string_view Next();
  // All that is left.
  std::string Rest();
  // False at the end; a last line without its line break counts.
  bool ReadLine(std::string& line);

 private:
  std::string name_;
  int fd_;
  bool terminal_ = false, ended_ = false;
  std::vector<char> buffer_;
  std::string_view left_;  // of the buffer, for ReadLine
};

// A whole file. Throws Error kIo, also if it is empty.
std::string ReadText(const std::string& path);

// Throws what ReadText would, of a file that is to be read after long work; pipes and stdin pass.
void CheckText(const std::string& path);

// Without the byte order mark that some editors put in front.
std::string WithoutByteOrderMark(std::string text);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TEXTS_H_
