// Products with matrices that stay as ggml's blocks, row by row, as their file has them.
//
// Outputs are rows of blocks here, so lanes hold inputs: lane i of an output's accumulator adds
// inputs i, i + lanes, … in order, and the lanes are added up at the end in one fixed order. One
// row of activations or many: the same bits.
#ifndef LINNET_KERNELS_GGML_TILES_H_
#define LINNET_KERNELS_GGML_TILES_H_

#include "kernels/matmul.h"

namespace linnet {

// As MatMul, for weights of DType::kGgml and activations of form kF32.
void GgmlMatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
                Mat<float> y) noexcept;

// The values of rows [begin, begin + count) of such a weight, w.cols each, `stride` apart.
void GgmlRows(const Weight& w, size_t begin, size_t count, float* out, size_t stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_GGML_TILES_H_
