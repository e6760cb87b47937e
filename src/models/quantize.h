// Quantize: any model, or a new one, written as a packed file.
#ifndef LINNET_MODELS_QUANTIZE_H_
#define LINNET_MODELS_QUANTIZE_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>

#include "base/thread_pool.h"
#include "models/init.h"
#include "models/names.h"
#include "models/packed.h"

namespace linnet {

struct QuantizeOptions {
  Packing packing{};
  // A vocabulary to hold, as DeflateText made it; the source's own if empty.
  std::span<const std::byte> vocabulary{};
  // Values written and values in all; may throw, and then nothing is written.
  std::function<void(uint64_t, uint64_t)> progress{};
};

// The vocabulary, if one is written, is not counted.
struct Quantized {
  uint64_t tensors = 0, parameters = 0, bytes = 0;
};

// Writes a packed file of a model of any tensor naming, a packed one too. Reads it a
// few rows at a time and gives their pages back: holds some 100 MB, whatever
// the model's size. Throws Error: kBadModel for what is no model, and for matrices
// that are not finite or hold what their format cannot; kIo.
Quantized QuantizeCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                             ThreadPool& pool, const QuantizeOptions& options);

// The same of a new model, without its values ever being in a file.
Quantized WriteNewPacked(const Config& config, Filling filling, uint64_t seed,
                         const std::filesystem::path& out, ThreadPool& pool,
                         const QuantizeOptions& options);

}  // namespace linnet

#endif  // LINNET_MODELS_QUANTIZE_H_
