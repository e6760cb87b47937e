// New models: writes the file that training starts from.
#ifndef LINNET_TRAIN_NEW_MODEL_H_
#define LINNET_TRAIN_NEW_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "base/thread_pool.h"
#include "linnet/config.h"

namespace linnet {

// As WriteNewModel of linnet/trainer.h, as safetensors, with this vocabulary (from
// StoredVocabulary) unless it is empty. Calls `check` at intervals; if it throws, no file is left.
void WriteNewModel(const InitSizes& sizes, std::span<const std::byte> vocabulary, uint64_t seed,
                   const std::filesystem::path& path, ThreadPool& pool,
                   const std::function<void()>& check);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_MODEL_H_
