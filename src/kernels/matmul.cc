#include "kernels/matmul.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/convert.h"
#include "kernels/isa.h"
#include "kernels/tiles.h"

namespace linnet {
namespace {

constexpr size_t kLine = 64;
constexpr size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Rows that go through a panel together: their activations and sums stay in L2.
constexpr size_t kRowBlock = 96;
// Inputs that a block of rows goes through together: their weights, unpacked, stay in L1 or L2.
constexpr size_t kInputBlock = 256;
// From so many rows on, unpacking once is cheaper than reading the stored form in every tile.
constexpr size_t kUnpackRows = 2 * kMaxTileRows;

const TileKernels& KernelsFor(DType weights, Activation form) {
  if (form == Activation::kF32) return ExactTiles(weights);
  LINNET_CHECK(form == ActivationFor(weights, false));
  return Bf16Tiles();
}

struct Product {
  const TileKernels& kernels;
  DType dtype;
  size_t inputs, input_bytes;  // bytes of one activation
  Activations x;
};

// All inputs of one panel for rows [begin, end), at most a block; row `begin` of y is at `y`.
void PanelProduct(const Product& p, const std::byte* panel, size_t begin, size_t end, float* y,
                  size_t y_stride) {
  alignas(kLine) std::byte scratch[kInputBlock * kPanelRows * sizeof(float)];
  const size_t rows = end - begin;
  const bool unpack = p.kernels.unpack != nullptr && rows >= kUnpackRows;
  const size_t tiles = (rows + kMaxTileRows - 1) / kMaxTileRows;
  const size_t block = tiles == 1 ? p.inputs : kInputBlock;
  for (size_t k = 0; k < p.inputs; k += block) {
    const size_t inputs = std::min(block, p.inputs - k);
    const std::byte* weights = panel + PanelBytes(p.dtype, k);
    if (unpack) {
      p.kernels.unpack(weights, inputs, scratch);
      weights = scratch;
    }
    for (size_t i = 0; i < tiles; ++i) {
      const size_t first = begin + rows * i / tiles, count = begin + rows * (i + 1) / tiles - first;
      const auto& tile = unpack ? p.kernels.unpacked : p.kernels.packed;
      tile[count - 1]({p.x.data + first * p.x.stride + k * p.input_bytes, p.x.stride, weights,
                       inputs, y + (first - begin) * y_stride, y_stride, k == 0});
    }
  }
}

// A panel with fewer than 64 outputs: sums go to a block of whole rows first.
void PartialPanelProduct(const Product& p, const std::byte* panel, size_t begin, size_t end,
                         Mat<float> y) {
  alignas(kLine) float sums[kRowBlock * kPanelRows];
  PanelProduct(p, panel, begin, end, sums, kPanelRows);
  for (size_t row = begin; row < end; ++row) {
    std::memcpy(y.Row(row), sums + (row - begin) * kPanelRows, y.cols * sizeof(float));
  }
}

}  // namespace

Activation ActivationFor(DType weights, bool exact) {
  const bool dot = CurrentIsa() == Isa::kAvx512Vnni;
  return !exact && dot && weights == DType::kBF16 ? Activation::kBF16 : Activation::kF32;
}

size_t ActivationBytes(Activation form, size_t cols) {
  const size_t bytes = RoundUp(cols * (form == Activation::kF32 ? 4 : 2), kLine);
  // Rows a power of two apart would fight for the same lines of the cache.
  return form != Activation::kF32 && bytes % 2048 == 0 ? bytes + kLine : bytes;
}

void PrepareActivations(Activation form, Mat<const float> x, std::byte* out) noexcept {
  LINNET_CHECK(form == Activation::kBF16);
  const size_t stride = ActivationBytes(form, x.cols);
  for (size_t row = 0; row < x.rows; ++row, out += stride) {
    F32ToBF16Row(x.Row(row), x.cols, reinterpret_cast<uint16_t*>(out));
    std::memset(out + 2 * x.cols, 0, stride - 2 * x.cols);
  }
}

void MatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
            Mat<float> y) noexcept {
  const Product p{KernelsFor(w.dtype, x.form), w.dtype, w.cols,
                  x.form == Activation::kF32 ? sizeof(float) : sizeof(uint16_t), x};
  const size_t panel_bytes = PanelBytes(w.dtype, w.cols);
  for (size_t begin = 0; begin < x.rows; begin += kRowBlock) {
    const size_t end = std::min(x.rows, begin + kRowBlock);
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const std::byte* weights = w.data + panel * panel_bytes;
      const size_t output = panel * kPanelRows, count = std::min(kPanelRows, w.rows - output);
      if (count == kPanelRows) {
        PanelProduct(p, weights, begin, end, y.Row(begin) + output, y.stride);
      } else {
        PartialPanelProduct(p, weights, begin, end, y.Columns(output, count));
      }
    }
  }
}

}  // namespace linnet
