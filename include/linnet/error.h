// Error: the only exception type of the library, for errors that a user can fix.
#ifndef LINNET_ERROR_H_
#define LINNET_ERROR_H_

#include <stdexcept>
#include <string>

namespace linnet {

enum class ErrorKind {
  kIo,        // a file cannot be read or written
  kBadModel,  // a file is not a valid RWKV model
  kBadState,  // a state file is damaged or belongs to another model
  kBadInput,  // a token, text or option is out of range
  kNoMemory,  // not enough memory on this machine
  kBusy,      // too much is waiting already: try again later
};

// The setting that the caller can change to avoid the error, if there is one. Each program has its
// own name for it. The `linnet` command appends the matching option to the message.
enum class Remedy {
  kNone,
  kIgnoreMemory,    // open or train although memory may not suffice (OpenOptions::force)
  kGiveVocabulary,  // name the vocabulary file (Tokenizer::Load)
  kUseAsState,      // the file is a state: load it as one (State::Load)
  kLowerRate,       // train with a lower learning rate
  kSkipStep,        // a lower learning rate, or skip such steps (skip_spikes)
  kLearnMore,       // freeze fewer parameters
  kOtherFolder,     // write the run to another folder
  kWholeRows,       // train on whole rows (TrainerOptions::chunk)
  kMoreRows,        // allow more memory for the rows of attention (OpenOptions::row_limit)
};

// The message is one line: the file, what was found, what was expected and, if known, what to do.
// Lower case, no full stop.
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
