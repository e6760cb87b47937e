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

// What the caller can change to go on, where that is a setting of the caller's: each program has
// its own name for it. The `linnet` command appends the option to the message.
enum class Remedy {
  kNone,
  kIgnoreMemory,    // open or train although memory may not suffice (OpenOptions::force)
  kGiveVocabulary,  // name the vocabulary file (Tokenizer::Load)
  kUseAsState,      // the file is a state: load it as one (State::Load)
  kLowerRate,       // train with a lower learning rate
  kSkipStep,        // the same, or skip such steps (skip_spikes)
  kLearnMore,       // fewer parameters frozen
  kOtherFolder,     // write the run to another folder
};

// The message is one line: it names the file, what was found, what was wanted and, if known,
// what to do; lower case, no full stop.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message, Remedy remedy = Remedy::kNone)
      : std::runtime_error(message), kind_(kind), remedy_(remedy) {}
  ErrorKind kind() const noexcept { return kind_; }
  Remedy remedy() const noexcept { return remedy_; }

 private:
  ErrorKind kind_;
  Remedy remedy_;
};

}  // namespace linnet

#endif  // LINNET_ERROR_H_
