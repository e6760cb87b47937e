// New adapters: what fine-tuning starts from, as a file.
#ifndef LINNET_TRAIN_NEW_ADAPTER_H_
#define LINNET_TRAIN_NEW_ADAPTER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "base/thread_pool.h"
#include "models/adapter.h"
#include "models/names.h"

namespace linnet {

struct NewAdapterOptions {
  AdapterKind kind = AdapterKind::kLora;  // or kPissa, kDisha
  size_t rank = 8;
  double alpha = 32;  // of LoRA: its product counts alpha / rank times
  uint64_t seed = 1;
  // Which matrices of the layers get one, by name.
  std::function<bool(const std::string& name)> targets{};
  std::function<void(double)> progress{};  // the share done, 0 to 1; may throw
};

// r, k, v, o, g of the time mix, k and v of the channel mix (RWKV-PEFT's choice).
inline constexpr char kDefaultTargets[] =
    R"(att\.(receptance|key|value|output|gate)\.|ffn\.(key|value)\.)";

// Writes an adapter that changes nothing yet. LoRA: A uniform as PyTorch's Linear begins, B zero;
// PiSSA: the largest `rank` singular values of each matrix (randomized, 4 rounds), shared between A
// and B, and once more as the first ones; DiSHA: D zero. Depends on base, options and seed alone.
// Throws Error kBadInput if no matrix is a target or the rank is larger than one, and kIo.
void WriteNewAdapter(const Checkpoint& base, const NewAdapterOptions& options, ThreadPool& pool,
                     const std::filesystem::path& path);

// Writes tuned initial states of zeros. Throws Error kBadInput for RWKV-4, which has none.
void WriteNewStates(const Checkpoint& base, const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_TRAIN_NEW_ADAPTER_H_
