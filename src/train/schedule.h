// Schedule: the learning rate of each step.
#ifndef LINNET_TRAIN_SCHEDULE_H_
#define LINNET_TRAIN_SCHEDULE_H_

#include <cstdint>

namespace linnet {

// RWKV-LM's v7 schedule (train_temp/src/trainer.py): a cosine from `first` to `last` over the steps
// after the warm-up, and during the first `warmup` steps times 0.01 + 0.99 step / warmup. A run
// that is resumed continues at the same step.
struct Schedule {
  double first = 6e-4, last = 6e-5;
  uint64_t warmup = 10;
  uint64_t steps = 1;

  double LearningRate(uint64_t step) const;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_SCHEDULE_H_
