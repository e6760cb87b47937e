// Products with matrices that keep ggml's blocks, row by row, as in their file.
//
// Outputs are rows of blocks, so vector lanes hold inputs: lane i of an output's accumulator adds
// inputs i, i + lanes, … in order; at the end the lanes are added in one fixed order. The bits are
// the same for any number of rows of activations.
#ifndef LINNET_KERNELS_GGML_TILES_H_
#define LINNET_KERNELS_GGML_TILES_H_

#include "kernels/matmul.h"

namespace linnet {

// As MatMul, for weights of DType::kGgml and activations of form kF32.
void GgmlMatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
                Mat<float> y) noexcept;

// Decodes rows [begin, begin + count) of such a weight, w.cols values each, `stride` apart.
void GgmlRows(const Weight& w, size_t begin, size_t count, float* out, size_t stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_GGML_TILES_H_
