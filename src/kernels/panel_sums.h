// The inner part of products whose sums are not simply stored: rows against one panel, to scratch.
#ifndef LINNET_KERNELS_PANEL_SUMS_H_
#define LINNET_KERNELS_PANEL_SUMS_H_

#include <cstddef>

#include "kernels/matmul.h"

namespace linnet {

// sums [x.rows][64] = x times a panel of `inputs` inputs, each sum in the order of MatMul. x is of
// form kF32 and the panel of kF32, or x of kBF16 (rows padded with zeros to a line, from a 64-byte
// aligned `data` on) and the panel of kBF16. `next`, one more panel of `inputs`, is brought near.
void PanelSums(const Activations& x, const std::byte* panel, size_t inputs, float* sums,
               const std::byte* next) noexcept;

// y += the first y.cols of the 64 columns of sums, or y = them.
void AddSums(const float* sums, Mat<float> y) noexcept;
void StoreSums(const float* sums, Mat<float> y) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_PANEL_SUMS_H_
