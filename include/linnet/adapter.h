// Adapters: small files beside a model that stays as it is. model.h runs them, trainer.h trains
// them.
#ifndef LINNET_ADAPTER_H_
#define LINNET_ADAPTER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace linnet {

enum class AdapterKind : uint8_t {
  kLora,   // W + s B A (arXiv:2106.09685)
  kPissa,  // W + B A - B0 A0, which begins as W (arXiv:2404.02948)
  kDisha,  // W[o, m rank + j] + D[j, o]: DiSHA, or MiSS (arXiv:2409.15371)
  kBone,   // blocks W[a, b] + W[a, b] G[b] + G[b]: Bone, or Bat
  kDora,   // (W + s B A) with columns of length M (arXiv:2402.09353)
};
const char* Name(AdapterKind kind);  // "lora", "pissa", "disha", "bone", "dora"
std::optional<AdapterKind> ParseAdapterKind(std::string_view name);

struct NewAdapterOptions {
  AdapterKind kind = AdapterKind::kLora;  // or kPissa, kDisha; the others are only read
  size_t rank = 8;
  double alpha = 32;  // of LoRA: its product counts alpha / rank times
  uint64_t seed = 1;
  // Which matrices of the layers get one, by BlinkDL's names; if not set, r, k, v, o, g of the time
  // mix, k and v of the channel mix (RWKV-PEFT's choice).
  std::function<bool(const std::string& name)> targets{};
  std::function<void(double)> progress{};  // the share done, 0 to 1; may throw
};

// Writes an adapter that changes nothing yet, for the model in `base`, as safetensors under
// RWKV-PEFT's names. LoRA: A uniform as PyTorch's Linear begins, B zero; PiSSA: the largest `rank`
// singular values of each matrix (randomized, 4 rounds), shared between A and B, and once more as
// the first ones; DiSHA: D zero. Depends on base, options and seed alone. Throws what Model::Open
// throws of `base`, and Error: kBadInput for another kind, if no matrix is a target, the rank is
// larger than one, or `path` is a .pth, which has no place for what an adapter says of itself; kIo.
void WriteNewAdapter(const std::filesystem::path& base, const NewAdapterOptions& options,
                     const std::filesystem::path& path);

// Writes tuned initial states: those that the model's own file holds, else zeros. Throws the same,
// and Error kBadInput for RWKV-4, which has none.
void WriteNewStates(const std::filesystem::path& base, const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_ADAPTER_H_
