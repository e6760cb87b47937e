// What `linnet train` refuses before the first byte is written or folder made.
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

// Throws Error kBadInput for a folder that already holds a run, unless this one goes on, and for
// files in it that the run would replace and must not (output_file.h).
void CheckFolder(const TrainFlags& flags, const CommonOptions& common);

// Throws Error kBadInput if the data is not of this vocabulary or has ids outside of it.
// `tokenizer`: of --vocab or of a new model, else null. `base` is null for a new model.
void CheckData(const TrainFlags& flags, const CommonOptions& common, const TokenData& data,
               const Tokenizer* tokenizer, const Checkpoint* base);

// What a run will take, as far as sizes tell it.
struct RunSizes {
  const Config& config;
  const Checkpoint* base;  // null for a new model
  const LearnerOptions& learner;
  uint64_t steps;
};
// Throws Error, unless --force: kNoMemory if a new run does not fit in memory, kIo if its files do
// not fit on the disk.
void CheckRoom(const TrainFlags& flags, const CommonOptions& common, const RunSizes& sizes,
               const World& world);

// Throws Error kNoMemory if so many bytes are more than those available, unless --force.
void CheckFits(const CommonOptions& common, uint64_t bytes, uint64_t available);

}  // namespace linnet::cli

#endif  // LINNET_CLI_TRAIN_START_H_
