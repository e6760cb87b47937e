// New models: files to begin a training with.
#ifndef LINNET_TRAIN_NEW_MODEL_H_
#define LINNET_TRAIN_NEW_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/thread_pool.h"
#include "linnet/config.h"

namespace linnet {

// As WriteNewModel of linnet/trainer.h. What `check` throws now and then leaves no file.
void WriteNewModel(const InitSizes& sizes, uint64_t seed, const std::filesystem::path& path,
                   ThreadPool& pool, const std::function<void()>& check);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_MODEL_H_
