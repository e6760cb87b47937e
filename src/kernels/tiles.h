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
};
using TileFunction = void (*)(const Tile& tile);

inline constexpr size_t kMaxTileRows = 6;

// What a format has at a level for one form of activations.
struct TileKernels {
  TileFunction packed[kMaxTileRows];  // [rows - 1]; reads the panel as it is stored
  // Writes `inputs` inputs of a panel in the form that `unpacked` reads: it pays when many tiles
  // share them. Null if the stored form is the best one.
  void (*unpack)(const std::byte* panel, size_t inputs, std::byte* out);
  TileFunction unpacked[kMaxTileRows];
  size_t unpacked_bytes;  // per input
};

// f32 activations, at the level in force.
const TileKernels& ExactTiles(DType dtype);

// bf16 pairs of activations; bf16 weights. Only at level avx512vnni.
const TileKernels& Bf16Tiles();

}  // namespace linnet

#endif  // LINNET_KERNELS_TILES_H_
