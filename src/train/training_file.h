// Training files: checkpoints that resume bit for bit, and the resulting models.
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

// What a run stores in its checkpoints in addition to the learner's memory.
using Notes = std::map<std::string, std::string>;

inline constexpr char kTrainingKind[] = "linnet training";  // metadata "kind"

// Saves the trained parameters as f32 under BlinkDL's names, the optimizer's moments and the
// learner's memory, with `notes` as metadata. All processes call it; process 0 writes, atomically.
// If the whole model is trained, the file can be opened as a model; its vocabulary is chosen as in
// SaveModel. Throws Error kIo.
void SaveTraining(Learner& learner, World& world, const std::filesystem::path& path,
                  const Notes& notes, std::span<const std::byte> vocabulary = {});

// Loads it into a learner with the same base and options, on any number of processes; returns the
// notes. Throws Error kIo, or kBadInput if the file is damaged or from another run.
Notes LoadTraining(Learner& learner, World& world, const std::filesystem::path& path);

// What is wrong with a training checkpoint, such as "its checksum is wrong"; empty if it is intact.
// Reads the whole file. Checkpoints of older versions have no checksum; only their structure is
// checked. Throws Error kIo if the file cannot be opened.
std::string DamageOf(const std::filesystem::path& path);

// Saves the whole model: trained parameters with their current values, the rest from the
// checkpoint. BlinkDL's names; .pth or safetensors by the extension; all tensors as `type`.
// Safetensors also store `vocabulary` (from StoredVocabulary), or the checkpoint's own if that is
// empty, and `notes` as metadata; .pth cannot store either.
void SaveModel(const Network& network, const std::filesystem::path& path, SourceType type,
               std::span<const std::byte> vocabulary = {}, const Notes& notes = {});

// Saves only the trained tensors, with the names and metadata of the adapter that the run started
// from. `path` as in SaveModel; tuned states are f32, all other tensors `type`.
void SaveAdapter(const Network& network, const TensorFile& start, const std::filesystem::path& path,
                 SourceType type = SourceType::kF32);

}  // namespace linnet

#endif  // LINNET_TRAIN_TRAINING_FILE_H_
