// New adapters: writes the file that fine-tuning starts from.
#ifndef LINNET_TRAIN_NEW_ADAPTER_H_
#define LINNET_TRAIN_NEW_ADAPTER_H_

#include <filesystem>

#include "base/thread_pool.h"
#include "linnet/adapter.h"
#include "models/names.h"

namespace linnet {

// The kinds of linnet/adapter.h.
inline constexpr char kDefaultTargets[] =
    R"(att\.(receptance|key|value|output|gate)\.|ffn\.(key|value)\.)";

// As the public functions, on the threads of a pool.
void WriteNewAdapter(const Checkpoint& base, const NewAdapterOptions& options, ThreadPool& pool,
                     const std::filesystem::path& path);
void WriteNewStates(const Checkpoint& base, const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_ADAPTER_H_
