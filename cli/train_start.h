// The checks of `linnet train` before it writes any file or folder.
#ifndef LINNET_CLI_TRAIN_START_H_
#define LINNET_CLI_TRAIN_START_H_

#include <cstdint>

#include "cli/train.h"
#include "linnet/config.h"
#include "linnet/tokenizer.h"
#include "models/names.h"
#include "train/token_data.h"
#include "train/world.h"

namespace linnet::cli {

// Throws Error kBadInput for a folder that already contains a run, unless it is resumed, and for
// files in it that the run must not overwrite (output_file.h).
void CheckFolder(const TrainFlags& flags, const CommonOptions& common);

// Throws Error kBadInput if the data has another vocabulary or ids outside of it.
// `tokenizer` is that of --vocab or of a new model, else null. `base` is null for a new model.
void CheckData(const TrainFlags& flags, const CommonOptions& common, const TokenData& data,
               const Tokenizer* tokenizer, const Checkpoint* base);

// The predicted requirements of a run, from sizes.
struct RunSizes {
  const Config& config;
  const Checkpoint* base;  // null for a new model
  const LearnerOptions& learner;
  uint64_t steps;
};
// Unless --force is given, throws Error kNoMemory if a new run does not fit in memory, and kIo if
// its files do not fit on the disk.
void CheckRoom(const TrainFlags& flags, const CommonOptions& common, const RunSizes& sizes,
               const World& world);

// Throws Error kNoMemory if fewer bytes than these are available, unless --force is given.
void CheckFits(const CommonOptions& common, uint64_t bytes, uint64_t available);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_START_H_
