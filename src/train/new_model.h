// New models: files to begin a training with.
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

// As WriteNewModel of linnet/trainer.h, as safetensors with this vocabulary (StoredVocabulary's)
// unless it is empty. What `check` throws now and then leaves no file.
void WriteNewModel(const InitSizes& sizes, std::span<const std::byte> vocabulary, uint64_t seed,
                   const std::filesystem::path& path, ThreadPool& pool,
                   const std::function<void()>& check);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_MODEL_H_
