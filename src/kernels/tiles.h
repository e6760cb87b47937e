// Tiles: a few rows of activations against one panel, the inner kernels of a matrix product.
#ifndef LINNET_KERNELS_TILES_H_
#define LINNET_KERNELS_TILES_H_

#include <cstddef>

#include "tensor/weight.h"

namespace linnet {

// Adds inputs [k, k + inputs) of a panel to the sums in y, or starts them at zero. The sum of
// each output is one chain along k that may be left in y and taken up again, so neither the
// number of rows nor the cuts along k show in the bits.
struct Tile {
  const std::byte* x;      // the first row, from input k on
  size_t x_stride;         // bytes
  const std::byte* panel;  // from input k on
  size_t inputs;
  float* y;         // [rows][64]
  size_t y_stride;  // floats
  bool first;
  // What to bring into the cache meanwhile: PrefetchBytes a step from here on.
  const std::byte* prefetch;
  size_t panel_stride = 0;  // bytes to the next panel, for functions that take two
};
using TileFunction = void (*)(const Tile& tile);

inline constexpr size_t kMaxTileRows = 6;
// So few rows wait for memory, which answers two streams faster than one.
inline constexpr size_t kMaxPairRows = 3;

// Bytes that a tile of so many rows prefetches in a step: the fewer rows, the sooner it is done.
constexpr size_t PrefetchBytes(size_t rows, size_t step_bytes) {
  const size_t bytes = rows <= 2 ? step_bytes : rows <= 4 ? step_bytes / 2 : step_bytes / 4;
  return bytes < 64 ? 64 : bytes;
}

// What a format has at a level for one form of activations.
struct TileKernels {
  size_t step_inputs, step_bytes;     // of the stored form
  TileFunction packed[kMaxTileRows];  // [rows - 1]; reads the panel as it is stored
  // Writes `inputs` inputs of a panel in the form that `unpacked` reads, a step an input: it pays
  // when many tiles share them. Null if the stored form is the best one.
  void (*unpack)(const std::byte* panel, size_t inputs, std::byte* out);
  size_t unpacked_step_bytes;
  TileFunction unpacked[kMaxTileRows];
  // Two panels that stand side by side; nulls if there are too few registers.
  TileFunction pairs[kMaxPairRows];
};

// f32 activations, at the level in force.
const TileKernels& ExactTiles(DType dtype);

// bf16 pairs of activations; bf16 weights. Only at level avx512vnni.
const TileKernels& Bf16Tiles();

}  // namespace linnet

#endif  // LINNET_KERNELS_TILES_H_
