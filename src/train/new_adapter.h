// New adapters: what fine-tuning starts from, as a file.
#ifndef LINNET_TRAIN_NEW_ADAPTER_H_
#define LINNET_TRAIN_NEW_ADAPTER_H_

#include <filesystem>

#include "base/thread_pool.h"
#include "linnet/adapter.h"
#include "models/names.h"

namespace linnet {

// Those that linnet/adapter.h names.
inline constexpr char kDefaultTargets[] =
    R"(att\.(receptance|key|value|output|gate)\.|ffn\.(key|value)\.)";

// As the public ones, on the threads of a pool.
void WriteNewAdapter(const Checkpoint& base, const NewAdapterOptions& options, ThreadPool& pool,
                     const std::filesystem::path& path);
void WriteNewStates(const Checkpoint& base, const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_ADAPTER_H_
