// BadStep: a training step that cannot be taken, and its cause.
#ifndef LINNET_TRAIN_BAD_STEP_H_
#define LINNET_TRAIN_BAD_STEP_H_

#include <string>

#include "linnet/error.h"
#include "models/network.h"

namespace linnet {

// Thrown by Learner::Step for a gradient that must not be applied. Nothing has changed then.
class BadStep : public Error {
 public:
  // `sound`: the values still give a finite loss, so they should be saved.
  BadStep(const std::string& message, bool sound, Remedy remedy = Remedy::kNone)
      : Error(ErrorKind::kBadInput, message, remedy), sound_(sound) {}
  bool sound() const noexcept { return sound_; }

 private:
  bool sound_;
};

// "blocks.1.ffn.key.weight holds a NaN", for the first trained tensor with a value that is not
// finite; empty if there is none.
std::string BadLearntValue(const Network& network);
// The same for frozen tensors, which are read from their file.
std::string BadFrozenValue(const Network& network);

// "blocks.1.ffn.key.weight reaches 3e+38": the largest trained value.
std::string LargestLearntValue(const Network& network);

}  // namespace linnet

#endif  // LINNET_TRAIN_BAD_STEP_H_
