// BadStep: a step of learning that cannot be taken, and what is to blame for it.
#ifndef LINNET_TRAIN_BAD_STEP_H_
#define LINNET_TRAIN_BAD_STEP_H_

#include <string>

#include "linnet/error.h"
#include "models/network.h"

namespace linnet {

// What Learner::Step throws for a gradient that must not be learnt from. Nothing has changed then.
class BadStep : public Error {
 public:
  // `sound`: the values still give a loss, so that they are worth keeping.
  BadStep(const std::string& message, bool sound, Remedy remedy = Remedy::kNone)
      : Error(ErrorKind::kBadInput, message, remedy), sound_(sound) {}
  bool sound() const noexcept { return sound_; }

 private:
  bool sound_;
};

// "blocks.1.ffn.key.weight holds a NaN", of the first tensor that learns and has a value that is
// no number; empty if none has.
std::string BadLearntValue(const Network& network);
// The same of the tensors that do not learn, which are read from their file.
std::string BadFrozenValue(const Network& network);

// "blocks.1.ffn.key.weight reaches 3e+38": the largest value that learns.
std::string LargestLearntValue(const Network& network);

}  // namespace linnet

#endif  // LINNET_TRAIN_BAD_STEP_H_
