#include "kernels/matmul.h"

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/check.h"
#include "kernels/blocks.h"
#include "kernels/convert.h"
#include "kernels/ggml_tiles.h"
#include "kernels/int8_rows.h"
#include "kernels/isa.h"
#include "kernels/tiles.h"

namespace linnet {
namespace {

constexpr size_t kLine = 64;
constexpr size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Rows per pass over a panel: as many as keep their activations in L2, in steps that suit the tiles
// of all kernels.
constexpr size_t kActivationBytes = 768 << 10;
constexpr size_t kRowGrain = 96;
size_t RowBlock(const TileKernels& kernels, const Activations& x) {
  if (kernels.row_block != 0) return kernels.row_block;
  const size_t rows = kActivationBytes / std::max<size_t>(x.stride, 1) / kRowGrain * kRowGrain;
  return std::clamp(rows, kRowGrain, kMaxRowBlock);
}

const TileKernels& KernelsFor(DType weights, Activation form) {
  LINNET_CHECK(Supports(weights, form));
  if (form == Activation::kF32) return ExactTiles(weights);
  if (form == Activation::kI8) {
    if (CurrentIsa() < Isa::kAvx512Vnni) return Int8Avx2Tiles(weights);
    return CurrentIsa() == Isa::kAmx ? Int8AmxTiles(weights) : Int8Tiles(weights);
  }
  return CurrentIsa() == Isa::kAmx ? AmxTiles() : Bf16Tiles();
}

// Panels that alternate over their blocks of inputs.
constexpr size_t kPanelsTogether = 4;

struct Range {
  size_t begin, end;
  size_t size() const { return end - begin; }
};

// Destination of the sums: row 0 of the current rows.
struct Out {
  float* y;
  size_t stride;
};

// Scratch of products of many rows. Too large for the thread stacks of some systems and programs.
struct alignas(kLine) MatMulScratch {
  std::byte unpacked[kUnpackInputs * kPanelRows * sizeof(float)];
  float sums[kPanelsTogether * kMaxRowBlock * kPanelRows];

  static MatMulScratch& OfThisThread() {
    thread_local const auto scratch = std::make_unique_for_overwrite<MatMulScratch>();
    return *scratch;
  }
};

struct Product {
  const TileKernels& kernels;
  const Weight& w;
  const Activations& x;
  size_t input_bytes, panel_bytes;  // of one activation, of a whole panel
  float* sums;                      // [kPanelsTogether][kMaxRowBlock][64]
  std::byte* unpacked;              // kUnpackInputs of weights

  const std::byte* Panel(size_t panel) const { return w.data + panel * panel_bytes; }
};

// Adds inputs k of one panel for some rows. `next` is what is read after this.
void PanelBlock(const Product& p, const std::byte* weights, Range rows, Range k,
                const std::byte* next, Out out) {
  const TileKernels& kernels = p.kernels;
  const size_t bytes = PanelBytes(p.w.dtype, k.size());
  const size_t tiles = (rows.size() + kernels.max_rows - 1) / kernels.max_rows;
  TileFunction function = kernels.packed;
  if (kernels.unpack != nullptr && rows.size() >= kernels.unpack_rows) {
    kernels.unpack(weights, k.size(), p.unpacked);
    weights = p.unpacked;
    function = kernels.unpacked;
  }
  for (size_t i = 0; i < tiles; ++i) {
    const size_t begin = rows.size() * i / tiles, end = rows.size() * (i + 1) / tiles;
    // Each tile prefetches its share.
    const size_t fetched = bytes * i / tiles / kLine * kLine;
    function({end - begin, p.x.data + (rows.begin + begin) * p.x.stride + k.begin * p.input_bytes,
              p.x.stride, weights, k.size(), out.y + begin * out.stride, out.stride, k.begin == 0,
              next + fetched, bytes * (i + 1) / tiles - fetched});
  }
}

// Inputs that some rows process at a time.
size_t InputBlock(const Product& p, Range rows) {
  const bool whole = rows.size() <= p.kernels.few_rows || p.w.cols <= p.kernels.whole_inputs;
  return whole ? p.w.cols : std::min(p.kernels.inputs, p.w.cols);
}

// A call for each row of a whole panel takes as long as the copy.
void CopyOutputs(const float* from, size_t count, float* to) {
  if (count == kPanelRows) {
    std::memcpy(to, from, kPanelRows * sizeof(float));
  } else {
    std::memcpy(to, from, count * sizeof(float));
  }
}

// All inputs of some panels, a block at a time: weights or activations stay in cache while they are
// reused, and the sums, which wait for the next block, are contiguous.
void Panels(const Product& p, Range panels, Range rows, Mat<float> y) {
  const bool few = rows.size() <= p.kernels.few_rows;
  const size_t block = InputBlock(p, rows);
  const auto outputs = [&](size_t panel) {
    return std::min(kPanelRows, p.w.rows - panel * kPanelRows);
  };
  const auto direct = [&](size_t panel) {
    return Out{y.Row(rows.begin) + panel * kPanelRows, y.stride};
  };
  const auto waiting = [&](size_t panel) {
    return Out{p.sums + (panel - panels.begin) * kMaxRowBlock * kPanelRows, kPanelRows};
  };
  // Rows of y may map to the same cache sets and evict one another.
  const bool near = block < p.w.cols || (!few && p.kernels.near_sums);
  const auto wait = [&](size_t panel) { return near || outputs(panel) < kPanelRows; };
  const auto at = [&](size_t panel, size_t k) { return p.Panel(panel) + PanelBytes(p.w.dtype, k); };
  for (size_t k = 0; k < p.w.cols; k += block) {
    const Range inputs{k, std::min(k + block, p.w.cols)};
    for (size_t panel = panels.begin; panel < panels.end; ++panel) {
      const std::byte* weights = at(panel, k);
      const std::byte* next = few                      ? weights + p.kernels.ahead_bytes
                              : panel + 1 < panels.end ? at(panel + 1, k)
                              : inputs.end < p.w.cols  ? at(panels.begin, inputs.end)
                                                       : at(panels.end, 0);
      PanelBlock(p, weights, rows, inputs, next, wait(panel) ? waiting(panel) : direct(panel));
    }
  }
  for (size_t panel = panels.begin; panel < panels.end; ++panel) {
    if (!wait(panel)) continue;
    const Out from = waiting(panel), to = direct(panel);
    const size_t count = outputs(panel);
    for (size_t row = 0; row < rows.size(); ++row) {
      CopyOutputs(from.y + row * from.stride, count, to.y + row * to.stride);
    }
  }
}

// Two whole adjacent panels, for a few rows.
void PanelPair(const Product& p, size_t panel, Range rows, Mat<float> y) {
  const std::byte* weights = p.Panel(panel);
  p.kernels.pairs({rows.size(), p.x.data + rows.begin * p.x.stride, p.x.stride, weights, p.w.cols,
                   y.Row(rows.begin) + panel * kPanelRows, y.stride, true,
                   weights + p.kernels.ahead_bytes, p.panel_bytes, p.panel_bytes, p.w.finite});
}

}  // namespace

Activation ActivationFor(DType weights, bool exact) {
  if (exact) return Activation::kF32;
  if (Supports(weights, Activation::kI8)) return Activation::kI8;
  if (weights != DType::kBF16) return Activation::kF32;
  switch (CurrentIsa()) {
    case Isa::kAmx:
      return Activation::kBF16;
    case Isa::kAvx512Vnni:
      // Other cores issue one vdpbf16ps in two cycles, in which they issue four f32 multiply-adds
      // of half as many inputs.
      return CurrentCore() == Core::kZen ? Activation::kBF16 : Activation::kF32;
    default:
      return Activation::kF32;
  }
}

bool Supports(DType weights, Activation form) {
  if (form == Activation::kF32) return true;
  if (form == Activation::kI8) return HasBlocks(weights) && CurrentIsa() >= Isa::kAvx2;
  return form == Activation::kBF16 && weights == DType::kBF16 && CurrentIsa() >= Isa::kAvx512Vnni;
}

size_t ActivationBytes(Activation form, size_t cols) {
  const size_t bytes = form == Activation::kI8
                           ? Int8RowBytes(cols)
                           : RoundUp(cols * (form == Activation::kF32 ? 4 : 2), kLine);
  // Rows a power of two apart would map to the same cache sets.
  return form != Activation::kF32 && bytes % 2048 == 0 ? bytes + kLine : bytes;
}

void PrepareActivations(Activation form, Mat<const float> x, std::byte* out) noexcept {
  const size_t stride = ActivationBytes(form, x.cols);
  if (form == Activation::kI8) return Int8Rows(x, out, stride);
  LINNET_CHECK(form == Activation::kBF16);
  for (size_t row = 0; row < x.rows; ++row, out += stride) {
    F32ToBF16Row(x.Row(row), x.cols, reinterpret_cast<uint16_t*>(out));
    std::memset(out + 2 * x.cols, 0, stride - 2 * x.cols);
  }
}

bool IsFiniteBF16(const std::byte* panel, size_t bytes) noexcept {
  constexpr uint16_t kExponent = 0x7f80;  // all ones only in infinities and NaNs
  const auto* values = reinterpret_cast<const uint16_t*>(panel);
  uint16_t found = 0;
  for (size_t i = 0; i < bytes / 2; ++i) {
    found = static_cast<uint16_t>(found | ((values[i] & kExponent) == kExponent ? 1 : 0));
  }
  return found == 0;
}

void MatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
            Mat<float> y) {
  if (w.dtype == DType::kGgml) return GgmlMatMul(w, x, panel_begin, panel_end, y);
  MatMulScratch& scratch = MatMulScratch::OfThisThread();
  const TileKernels& kernels = KernelsFor(w.dtype, x.form);
  const Product p{kernels,
                  w,
                  x,
                  x.form == Activation::kF32 ? sizeof(float) : sizeof(uint16_t),
                  PanelBytes(w.dtype, w.cols),
                  scratch.sums,
                  scratch.unpacked};
  const size_t whole = std::min(panel_end, w.rows / kPanelRows);
  const size_t row_block = RowBlock(kernels, x);
  for (size_t begin = 0; begin < x.rows; begin += row_block) {
    const Range rows{begin, std::min(x.rows, begin + row_block)};
    size_t panel = panel_begin;
    if (rows.size() <= kernels.pair_rows) {
      for (; panel + 2 <= whole; panel += 2) PanelPair(p, panel, rows, y);
    }
    const size_t together = InputBlock(p, rows) < w.cols ? kernels.panels : 1;
    for (; panel < panel_end; panel += together) {
      Panels(p, {panel, std::min(panel + together, panel_end)}, rows, y);
    }
  }
}

}  // namespace linnet
