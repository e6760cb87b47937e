// Tiles: a few rows of activations by one panel, the inner kernels of a matrix product.
#ifndef LINNET_KERNELS_TILES_H_
#define LINNET_KERNELS_TILES_H_

#include <cstddef>

#include "kernels/isa.h"
#include "tensor/weight.h"

namespace linnet {

// Adds inputs [k, k + inputs) of a panel to the sums in y, or starts them at zero. The sum of each
// output is one chain along k that can be stored in y and continued later, so neither the number of
// rows nor the splits along k change the bits.
struct Tile {
  size_t rows;
  const std::byte* x;      // the first row, from input k on
  size_t x_stride;         // bytes
  const std::byte* panel;  // from input k on
  size_t inputs;
  float* y;         // [rows][64]
  size_t y_stride;  // floats
  bool first;
  // What to prefetch meanwhile: up to `prefetch_bytes` from here on.
  const std::byte* prefetch;
  size_t prefetch_bytes;
  size_t panel_stride = 0;  // bytes to the next panel, for functions that take two
  bool finite = false;      // whether all weights are known to be finite
};
using TileFunction = void (*)(const Tile& tile);

inline constexpr size_t kUnpackInputs = 512;

// The kernels of a format at a level for one form of activations.
struct TileKernels {
  size_t max_rows;      // of a tile
  size_t few_rows;      // up to so many are memory-bound: weights are read once, in order
  size_t whole_inputs;  // up to so many are processed at once with more rows, too; more in blocks
  TileFunction packed;  // reads the panel as it is stored
  // For unpack_rows rows or more: decodes up to kUnpackInputs inputs of a panel to the form that
  // `unpacked` reads, of at most four bytes a weight, which pays off when many tiles share them.
  // Null if the stored form is the fastest one.
  size_t unpack_rows;
  void (*unpack)(const std::byte* panel, size_t inputs, std::byte* out);
  TileFunction unpacked;
  // For up to pair_rows rows, which are memory-bound: two adjacent panels. Two streams reach a
  // higher bandwidth than one.
  size_t pair_rows;
  TileFunction pairs;
  // Blocking for more than a few rows: how many rows at once, at most kMaxRowBlock, and how many
  // inputs of how many panels, at most 4, before the next block of inputs. Zero rows: as many as
  // fit L2.
  size_t row_block = 0, panels = 1, inputs = kUnpackInputs;
  // Whether a tile of many rows revisits its sums, which are then stored contiguously.
  bool near_sums = false;
  // How far ahead the weights of a few rows are prefetched; they are read at memory bandwidth.
  size_t ahead_bytes = 2048;
};
inline constexpr size_t kMaxRowBlock = 288;

// Bytes that a step of a tile of so many rows prefetches: fewer rows finish sooner.
constexpr size_t PrefetchBytes(size_t rows, size_t step_bytes) {
  const size_t bytes = rows <= 2 ? step_bytes : rows <= 4 ? step_bytes / 2 : step_bytes / 4;
  return bytes < 64 ? 64 : bytes;
}

// f32 activations, at the current level.
const TileKernels& ExactTiles(DType dtype);

// bf16 pairs of activations by bf16 weights: vdpbf16ps for level avx512vnni, and the tile unit for
// level amx. AMX sums 32 inputs at a time: `inputs` of all tiles but a row's last must be a
// multiple of 32, and rows of x are padded with zeros to one.
const TileKernels& Bf16Tiles();
const TileKernels& AmxTiles();

// Up to so many rows at level amx without its tile unit, and the same for two panels.
inline constexpr size_t kAmxFewRows = 8;
void AmxFewRows(const Tile& tile);
void AmxFewPairs(const Tile& tile);

// int8 rows (int8_rows.h) by int8 or nf4 weights: from level avx2 on, from avx512vnni on, and with
// the tile unit, all with the same bits. A tile covers all inputs, and x is whole rows.
const TileKernels& Int8Avx2Tiles(DType dtype);
const TileKernels& Int8Tiles(DType dtype, Core core = CurrentCore());
const TileKernels& Int8AmxTiles(DType dtype);

}  // namespace linnet

#endif  // LINNET_KERNELS_TILES_H_
