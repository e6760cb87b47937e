#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/ggml_tiles.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>

#include "hwy/highway.h"
#include "kernels/ggml_tiles.h"
#include "tensor/ggml_blocks-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr size_t kLanes = hn::MaxLanes(D());

// Outputs and inputs that are decoded at once, and rows of activations that share them.
constexpr size_t kOutputs = 4, kInputs = 4 * kMaxBlockValues, kRows = 64;
// Rows whose sums fit the registers.
constexpr size_t kTileRows = kLanes == 16 ? 4 : 2;

// For kRows rows: the accumulators' lanes between blocks of inputs.
using Lanes = float[kRows][kOutputs][kLanes];

// Adds `inputs` inputs, a multiple of 32, for kCount rows.
template <size_t kCount>
void AddInputs(const float* x, size_t x_stride, const float (*w)[kInputs], size_t inputs,
               bool first, float (*lanes)[kOutputs][kLanes]) {
  const D d;
  V sum[kCount][kOutputs];
  HWY_UNROLL(8)
  for (size_t r = 0; r < kCount; ++r) {
    HWY_UNROLL(8)
    for (size_t n = 0; n < kOutputs; ++n) {
      sum[r][n] = first ? hn::Zero(d) : hn::LoadU(d, lanes[r][n]);
    }
  }
  for (size_t k = 0; k < inputs; k += kLanes) {
    V values[kOutputs];
    HWY_UNROLL(8)
    for (size_t n = 0; n < kOutputs; ++n) values[n] = hn::LoadU(d, w[n] + k);
    HWY_UNROLL(8)
    for (size_t r = 0; r < kCount; ++r) {
      const V input = hn::LoadU(d, x + r * x_stride + k);
      HWY_UNROLL(8)
      for (size_t n = 0; n < kOutputs; ++n) sum[r][n] = hn::MulAdd(input, values[n], sum[r][n]);
    }
  }
  HWY_UNROLL(8)
  for (size_t r = 0; r < kCount; ++r) {
    HWY_UNROLL(8)
    for (size_t n = 0; n < kOutputs; ++n) hn::StoreU(sum[r][n], d, lanes[r][n]);
  }
}

// Outputs [output, output + count) for up to kRows rows.
void Outputs(const Weight& w, const float* x, size_t x_stride, size_t rows, size_t output,
             size_t count, float* y, size_t y_stride) {
  const D d;
  HWY_ALIGN float values[kOutputs][kInputs];
  HWY_ALIGN Lanes lanes;
  const size_t row_bytes = w.cols / ValuesPerBlock(w.block) * BytesPerBlock(w.block);
  for (size_t k = 0; k < w.cols; k += kInputs) {
    const size_t inputs = std::min(kInputs, w.cols - k);
    for (size_t n = 0; n < kOutputs; ++n) {
      // Missing outputs repeat the last one; their results are not used.
      const size_t row = output + std::min(n, count - 1);
      DecodeBlocks(w.block,
                   w.data + row * row_bytes + k / ValuesPerBlock(w.block) * BytesPerBlock(w.block),
                   inputs / ValuesPerBlock(w.block), values[n]);
    }
    size_t r = 0;
    for (; r + kTileRows <= rows; r += kTileRows) {
      AddInputs<kTileRows>(x + r * x_stride + k, x_stride, values, inputs, k == 0, lanes + r);
    }
    for (; r < rows; ++r) {
      AddInputs<1>(x + r * x_stride + k, x_stride, values, inputs, k == 0, lanes + r);
    }
  }
  for (size_t r = 0; r < rows; ++r) {
    for (size_t n = 0; n < count; ++n) {
      const V sum = hn::SumOfLanes(d, hn::LoadU(d, lanes[r][n]));
      y[r * y_stride + n] = w.scale * hn::GetLane(sum);
    }
  }
}

void Multiply(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
              Mat<float> y) {
  const size_t begin = panel_begin * kPanelRows, end = std::min(w.rows, panel_end * kPanelRows);
  for (size_t row = 0; row < x.rows; row += kRows) {
    const size_t rows = std::min(kRows, x.rows - row);
    const auto* from = reinterpret_cast<const float*>(x.data + row * x.stride);
    for (size_t output = begin; output < end; output += kOutputs) {
      Outputs(w, from, x.stride / sizeof(float), rows, output, std::min(kOutputs, end - output),
              y.Row(row) + output, y.stride);
    }
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Multiply);

void GgmlMatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
                Mat<float> y) noexcept {
  HWY_DYNAMIC_DISPATCH(Multiply)(w, x, panel_begin, panel_end, y);
}

void GgmlRows(const Weight& w, size_t begin, size_t count, float* out, size_t stride) noexcept {
  const size_t row_bytes = w.cols / ValuesPerBlock(w.block) * BytesPerBlock(w.block);
  for (size_t i = 0; i < count; ++i, out += stride) {
    DecodeGgml(w.block, w.data + (begin + i) * row_bytes, 0, w.cols, out);
    for (size_t k = 0; w.scale != 1.0f && k < w.cols; ++k) out[k] *= w.scale;
  }
}

}  // namespace linnet
#endif  // HWY_ONCE
