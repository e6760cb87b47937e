// Quantize: writes any model, or a new one, as a packed file.
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
  // A vocabulary to store, from DeflateText; the source's own if empty.
  std::span<const std::byte> vocabulary{};
  // Called with values written and total values. If it throws, no file is written.
  std::function<void(uint64_t, uint64_t)> progress{};
};

// A written vocabulary is not counted.
struct Quantized {
  uint64_t tensors = 0, parameters = 0, bytes = 0;
};

// Writes a packed file of a model with any tensor naming, also of a packed one. Reads it a few rows
// at a time and releases their pages: uses about 100 MB for any model size. Throws Error: kBadModel
// if the file is not a model, and for matrices with values that are not finite or do not fit their
// format; kIo.
Quantized QuantizeCheckpoint(const Checkpoint& in, const std::filesystem::path& out,
                             ThreadPool& pool, const QuantizeOptions& options);

// The same for a new model, without writing its values to a file first.
Quantized WriteNewPacked(const Config& config, Filling filling, uint64_t seed,
                         const std::filesystem::path& out, ThreadPool& pool,
                         const QuantizeOptions& options);

}  // namespace linnet

#endif  // LINNET_MODELS_QUANTIZE_H_
