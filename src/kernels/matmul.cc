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

// Rows that go through all panels together, some inputs at a time: these activations stay in L2.
constexpr size_t kRowBlock = 288;
constexpr size_t kRowGrain = 32;
// Weights that are unpacked together.
constexpr size_t kUnpackInputs = 512;
// How far ahead the weights of a few rows are fetched, which go by as fast as memory gives them.
constexpr size_t kPrefetchBytes = 2048;
// From so many tiles on, unpacking once is cheaper than reading the stored form in each.
constexpr size_t kUnpackTiles = 2;

// Intel's cores do one vdpbf16ps in two cycles, where they do four f32 multiply-adds of half as
// many inputs; AMD's do two for one.
#if defined(__x86_64__)
const bool kFastBf16Dot = __builtin_cpu_is("amd");
#else
constexpr bool kFastBf16Dot = false;
#endif

const TileKernels& KernelsFor(DType weights, Activation form) {
  LINNET_CHECK(Supports(weights, form));
  if (form == Activation::kF32) return ExactTiles(weights);
  return CurrentIsa() == Isa::kAmx ? AmxTiles() : Bf16Tiles();
}

struct Product {
  const TileKernels& kernels;
  const Weight& w;
  const Activations& x;
  size_t input_bytes;  // of one activation
  bool unpack;
  std::byte* scratch;  // unpacked weights of a block

  const std::byte* WeightsAt(size_t panel, size_t k) const {
    return w.data + panel * PanelBytes(w.dtype, w.cols) + PanelBytes(w.dtype, k);
  }
};

struct Range {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// Adds inputs k of one panel for some rows; row rows.begin of y is at `y`. `next` is what will be
// read after this.
void PanelBlock(const Product& p, size_t panel, Range rows, Range k, const std::byte* next,
                float* y, size_t y_stride) {
  const std::byte* weights = p.WeightsAt(panel, k.begin);
  const size_t bytes = PanelBytes(p.w.dtype, k.size());
  const size_t tiles = (rows.size() + p.kernels.max_rows - 1) / p.kernels.max_rows;
  if (rows.size() <= p.kernels.stream_rows) next = weights + kPrefetchBytes;
  if (p.unpack) {
    p.kernels.unpack(weights, k.size(), p.scratch);
    weights = p.scratch;
  }
  const TileFunction function = p.unpack ? p.kernels.unpacked : p.kernels.packed;
  for (size_t i = 0; i < tiles; ++i) {
    const size_t begin = rows.begin + rows.size() * i / tiles;
    const size_t end = rows.begin + rows.size() * (i + 1) / tiles;
    // Each tile fetches its share.
    const size_t fetched = bytes * i / tiles / kLine * kLine;
    function({end - begin, p.x.data + begin * p.x.stride + k.begin * p.input_bytes, p.x.stride,
              weights, k.size(), y + (begin - rows.begin) * y_stride, y_stride, k.begin == 0,
              next + fetched, bytes * (i + 1) / tiles - fetched});
  }
}

size_t InputBlock(const Product& p, Range rows) {
  return rows.size() <= p.kernels.stream_rows ? p.w.cols : p.kernels.input_block;
}

// All inputs of two neighbouring panels for a few rows; false if there is no kernel for it.
bool PanelPair(const Product& p, size_t panel, Range rows, Mat<float> y) {
  if (rows.size() > p.kernels.pair_rows) return false;
  const std::byte* weights = p.WeightsAt(panel, 0);
  const size_t panel_bytes = PanelBytes(p.w.dtype, p.w.cols);
  p.kernels.pairs({rows.size(), p.x.data + rows.begin * p.x.stride, p.x.stride, weights, p.w.cols,
                   y.Row(rows.begin) + panel * kPanelRows, y.stride, true, weights + kPrefetchBytes,
                   panel_bytes, panel_bytes});
  return true;
}

// All whole panels of the range, block of inputs by block of inputs: the sums wait in y.
void WholePanels(const Product& p, Range panels, Range rows, Mat<float> y) {
  while (panels.size() >= 2 && PanelPair(p, panels.begin, rows, y)) panels.begin += 2;
  const size_t block = InputBlock(p, rows);
  for (size_t k = 0; k < p.w.cols; k += block) {
    const Range inputs{k, std::min(k + block, p.w.cols)};
    for (size_t panel = panels.begin; panel < panels.end; ++panel) {
      const std::byte* next = panel + 1 < panels.end ? p.WeightsAt(panel + 1, k)
                                                     : p.WeightsAt(panels.begin, inputs.end);
      PanelBlock(p, panel, rows, inputs, next, y.Row(rows.begin) + panel * kPanelRows, y.stride);
    }
  }
}

// A panel with fewer than 64 outputs: its sums wait in rows of 64.
void PartialPanel(const Product& p, size_t panel, Range rows, Mat<float> y) {
  alignas(kLine) float sums[kRowBlock * kPanelRows];
  const size_t block = InputBlock(p, rows);
  for (size_t k = 0; k < p.w.cols; k += block) {
    const Range inputs{k, std::min(k + block, p.w.cols)};
    PanelBlock(p, panel, rows, inputs, p.WeightsAt(panel, inputs.end), sums, kPanelRows);
  }
  const size_t output = panel * kPanelRows;
  for (size_t row = rows.begin; row < rows.end; ++row) {
    std::memcpy(y.Row(row) + output, sums + (row - rows.begin) * kPanelRows,
                (p.w.rows - output) * sizeof(float));
  }
}

}  // namespace

Activation ActivationFor(DType weights, bool exact) {
  if (exact || weights != DType::kBF16) return Activation::kF32;
  switch (CurrentIsa()) {
    case Isa::kAmx:
      return Activation::kBF16;
    case Isa::kAvx512Vnni:
      return kFastBf16Dot ? Activation::kBF16 : Activation::kF32;
    default:
      return Activation::kF32;
  }
}

bool Supports(DType weights, Activation form) {
  if (form == Activation::kF32) return weights <= DType::kBF16;
  return form == Activation::kBF16 && weights == DType::kBF16 && CurrentIsa() >= Isa::kAvx512Vnni;
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
  alignas(kLine) std::byte scratch[kUnpackInputs * kPanelRows * sizeof(float)];
  const TileKernels& kernels = KernelsFor(w.dtype, x.form);
  const Product p{kernels,
                  w,
                  x,
                  x.form == Activation::kF32 ? sizeof(float) : sizeof(uint16_t),
                  kernels.unpack != nullptr && x.rows >= kUnpackTiles * kernels.max_rows,
                  scratch};
  const Range whole{panel_begin, std::min(panel_end, w.rows / kPanelRows)};
  const size_t blocks = (x.rows + kRowBlock - 1) / kRowBlock;
  for (size_t block = 0; block < blocks; ++block) {
    const auto cut = [&](size_t i) {
      return std::min(x.rows, RoundUp(x.rows * i / blocks, kRowGrain));
    };
    const Range rows{cut(block), cut(block + 1)};
    if (whole.begin < whole.end) WholePanels(p, whole, rows, y);
    if (whole.end < panel_end) PartialPanel(p, panel_end - 1, rows, y);
  }
}

}  // namespace linnet
