// Error: the one exception of the library, for what a user can mend.
#ifndef LINNET_ERROR_H_
#define LINNET_ERROR_H_

#include <stdexcept>
#include <string>

namespace linnet {

enum class ErrorKind {
  kIo,        // a file cannot be read or written
  kBadModel,  // a file is not the RWKV model it should be
  kBadState,  // a state file is broken or of another model
  kBadInput,  // a token, text or setting out of its range
  kNoMemory,  // it would not fit into this machine's memory
};

// The message is one line: it names the file, what was found, what was wanted and, if known,
// what to do; lower case, no full stop.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace linnet

#endif  // LINNET_ERROR_H_
