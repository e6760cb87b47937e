// Adapters: small files that change a model without rewriting it. model.h runs them, trainer.h
// trains them.
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
  kPissa,  // W + B A - B0 A0, equal to W at the start (arXiv:2404.02948)
  kDisha,  // W[o, m rank + j] + D[j, o]: DiSHA, or MiSS (arXiv:2409.15371)
  kBone,   // blocks W[a, b] + W[a, b] G[b] + G[b]: Bone, or Bat
  kDora,   // (W + s B A) with columns of length M (arXiv:2402.09353)
};
const char* Name(AdapterKind kind);  // "lora", "pissa", "disha", "bone", "dora"
std::optional<AdapterKind> ParseAdapterKind(std::string_view name);

struct NewAdapterOptions {
  AdapterKind kind = AdapterKind::kLora;  // or kPissa, kDisha; others can be read but not created
  size_t rank = 8;
  double alpha = 32;  // LoRA only: its product is scaled by alpha / rank
  uint64_t seed = 1;
  // Selects the layer matrices to adapt, by BlinkDL's names; if not set, r, k, v, o, g of the time
  // mix and k, v of the channel mix (RWKV-PEFT's choice).
  std::function<bool(const std::string& name)> targets{};
  std::function<void(double)> progress{};  // the fraction done, 0 to 1; may throw
};

// Writes an adapter that does not change the model in `base` yet, as safetensors under RWKV-PEFT's
// names. LoRA: A uniform as in PyTorch's Linear, B zero. PiSSA: the largest `rank` singular values
// of each matrix (randomized SVD, 4 rounds), split between A and B, with a copy as A0 and B0.
// DiSHA: D zero. The result depends only on base, options and seed. Throws what Model::Open throws
// for `base`, and Error: kBadInput for another kind, if no matrix is selected, if the rank is
// larger than a matrix, or if `path` is a .pth, which cannot store an adapter's metadata; kIo.
void WriteNewAdapter(const std::filesystem::path& base, const NewAdapterOptions& options,
                     const std::filesystem::path& path);

// Writes tuned initial states: those in the model's file, else zeros. Throws the same errors, and
// Error kBadInput for RWKV-4, which has no tuned states.
void WriteNewStates(const std::filesystem::path& base, const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_ADAPTER_H_
