#include "kernels/panel_product.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/amx_product.h"
#include "kernels/isa.h"
#include "kernels/rows.h"
#include "kernels/tiles.h"

namespace linnet {
namespace {

// Inputs of a panel that stay in the nearest cache while all rows pass.
constexpr size_t kNearInputs = 128;

const TileKernels& KernelsOf(Activation form) {
  if (form == Activation::kF32) return ExactTiles(DType::kF32);
  LINNET_CHECK(form == Activation::kBF16);
  return Bf16Tiles();
}

}  // namespace

void PanelProduct(const Activations& x, const std::byte* panel, size_t inputs,
                  const PanelOutputs& out) noexcept {
  if (x.form == Activation::kBF16 && CurrentIsa() == Isa::kAmx) {
    return AmxProduct(x, panel, inputs, out);
  }
  const TileKernels& kernels = KernelsOf(x.form);
  const bool f32 = x.form == Activation::kF32;
  const DType dtype = f32 ? DType::kF32 : DType::kBF16;
  const size_t tiles = (x.rows + kernels.max_rows - 1) / kernels.max_rows;
  for (size_t k = 0; k < inputs; k += kNearInputs) {
    const size_t count = std::min(kNearInputs, inputs - k);
    const size_t at = PanelBytes(dtype, k), bytes = PanelBytes(dtype, count);
    for (size_t i = 0; i < tiles; ++i) {
      const size_t begin = x.rows * i / tiles, end = x.rows * (i + 1) / tiles;
      const size_t fetched = bytes * i / tiles / 64 * 64;
      kernels.packed({end - begin, x.data + begin * x.stride + k * (f32 ? 4 : 2), x.stride,
                      panel + at, count, out.scratch + begin * kPanelRows, kPanelRows, k == 0,
                      out.next + at + fetched, bytes * (i + 1) / tiles - fetched});
    }
  }
  const float* sums = out.scratch;
  for (size_t row = 0; row < x.rows; ++row, sums += kPanelRows) {
    float* y = out.y.Row(row);
    if (out.add) {
      AddRow(y, sums, out.y.cols, y);
    } else {
      std::memcpy(y, sums, out.y.cols * sizeof(float));
    }
  }
}

}  // namespace linnet
