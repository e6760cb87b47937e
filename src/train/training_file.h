// Training files: what a run needs to go on bit for bit, and the models that come out of it.
#ifndef LINNET_TRAIN_TRAINING_FILE_H_
#define LINNET_TRAIN_TRAINING_FILE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "io/tensor_file.h"
#include "train/learner.h"
#include "train/world.h"

namespace linnet {

// What a run keeps in its checkpoints beside the learner's own memory.
using Notes = std::map<std::string, std::string>;

inline constexpr char kTrainingKind[] = "linnet training";  // metadata "kind"

// Saves all that learns as f32 under BlinkDL's names, the optimizer's moments and the learner's
// memory; `notes` is kept as metadata beside them. Written whole or not at all, by process 0; all
// ranks call it. A run that learns everything can be opened as a model from this file, with a
// vocabulary as SaveModel has it. Throws Error kIo.
void SaveTraining(Learner& learner, World& world, const std::filesystem::path& path,
                  const Notes& notes, std::span<const std::byte> vocabulary = {});

// The inverse, into a learner of the same base and options, on any number of processes; returns the
// notes. Throws Error kIo or kBadInput if the file is broken or of another run.
Notes LoadTraining(Learner& learner, World& world, const std::filesystem::path& path);

// What is wrong with a training checkpoint, such as "its checksum is wrong"; empty if nothing is.
// Reads all of it. Those that older versions wrote have no checksum, and are judged by their form.
// Throws Error kIo if it cannot be opened.
std::string DamageOf(const std::filesystem::path& path);

// The whole model: what learns as it is now, anything else as its checkpoint has it. BlinkDL's
// names, .pth or safetensors by the ending; `type` of all tensors. Safetensors hold `vocabulary`
// (as StoredVocabulary gives it), or the checkpoint's own if that is empty, and `notes` as
// metadata; .pth has no place for either.
void SaveModel(const Network& network, const std::filesystem::path& path, SourceType type,
               std::span<const std::byte> vocabulary = {}, const Notes& notes = {});

// Only what learns, as the adapter that the run began with has it: the same tensors under the same
// names, and its metadata. `path` as in SaveModel; `type` of all but tuned states, which are f32.
void SaveAdapter(const Network& network, const TensorFile& start, const std::filesystem::path& path,
                 SourceType type = SourceType::kF32);

}  // namespace linnet

#endif  // LINNET_TRAIN_TRAINING_FILE_H_
