// PackPanels: the panels of a matrix in one of the formats, from its rows as f32.
#ifndef LINNET_MODELS_PACK_PANELS_H_
#define LINNET_MODELS_PACK_PANELS_H_

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>

#include "base/thread_pool.h"
#include "linnet/dtype.h"
#include "tensor/weight.h"

namespace linnet {

// Reads `count` rows, starting at `begin`. Called on any thread.
using RowReader = std::function<void(size_t begin, size_t count, float* rows)>;

struct MatrixToPack {
  size_t out = 0, in = 0;
  DType dtype = DType::kF32;
  // For messages about values that do not fit the format; without a name this is not checked.
  std::filesystem::path file{};
  std::string name{};
};

// Writes PackedBytes(dtype, out, in) bytes to `data`, which is aligned to 64. If `kept` is not
// null, it gets the rows as f32, which may change later. Throws Error kBadModel for values that do
// not fit the format.
Weight PackPanels(const MatrixToPack& matrix, const RowReader& read, float* kept, ThreadPool& pool,
                  std::byte* data);

}  // namespace linnet

#endif  // LINNET_MODELS_PACK_PANELS_H_
