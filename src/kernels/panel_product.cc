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

// Inputs of a panel that stay in L1 while all rows are processed.
constexpr size_t kNearInputs = 128;

const TileKernels& KernelsOf(Activation form) {
  if (form == Activation::kF32) return ExactTiles(DType::kF32);
  LINNET_CHECK(form == Activation::kBF16);
  return Bf16Tiles();
}

// Rows of y are far apart, where the hardware prefetcher cannot predict the next one.
void FetchRows(Mat<float> y, size_t begin, size_t end) {
  for (size_t row = begin; row < end; ++row) {
    for (size_t i = 0; i < y.cols; i += 16) __builtin_prefetch(y.Row(row) + i, 1);
  }
}

void Put(const float* sums, bool add, Mat<float> y) {
  for (size_t row = 0; row < y.rows; ++row, sums += kPanelRows) {
    if (add) {
      AddRow(y.Row(row), sums, y.cols, y.Row(row));
    } else {
      std::memcpy(y.Row(row), sums, y.cols * sizeof(float));
    }
  }
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
  const auto first_row = [&](size_t tile) { return x.rows * tile / tiles; };
  for (size_t k = 0; k < inputs; k += kNearInputs) {
    const size_t count = std::min(kNearInputs, inputs - k), rest = inputs - k - count;
    const std::byte* weights = panel + PanelBytes(dtype, k);
    // The next inputs of this panel, or the first of the next panel.
    const std::byte* next = rest > 0 ? weights + PanelBytes(dtype, count) : out.next;
    const size_t bytes = PanelBytes(dtype, std::min(kNearInputs, rest > 0 ? rest : inputs));
    if (rest == 0) FetchRows(out.y, 0, first_row(1));
    for (size_t i = 0; i < tiles; ++i) {
      const size_t begin = first_row(i), end = first_row(i + 1);
      const size_t fetched = bytes * i / tiles / 64 * 64;
      float* sums = out.scratch + begin * kPanelRows;
      if (rest == 0 && i + 1 < tiles) FetchRows(out.y, end, first_row(i + 2));
      kernels.packed({end - begin, x.data + begin * x.stride + k * (f32 ? 4 : 2), x.stride, weights,
                      count, sums, kPanelRows, k == 0, next + fetched,
                      bytes * (i + 1) / tiles - fetched});
      if (rest == 0) Put(sums, out.add, out.y.Rows(begin, end - begin));
    }
  }
}

}  // namespace linnet
