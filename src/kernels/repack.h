// The same values in another order, for the products of the backward pass: panels of a transposed
// weight, rows of activations as panels or as columns, and sums of panels as rows.
#ifndef LINNET_KERNELS_REPACK_H_
#define LINNET_KERNELS_REPACK_H_

#include <cstddef>

#include "kernels/matmul.h"

namespace linnet {

// The format of panels that rows of a form (kF32 or kBF16) are multiplied with here.
constexpr DType PanelType(Activation form) {
  return form == Activation::kBF16 ? DType::kBF16 : DType::kF32;
}

// Columns [begin, begin + columns), at most 64, of the rows of x as one panel of x.rows inputs, so
// that a product with it sums over the rows. x is of form kF32 or kBF16; missing outputs are zeros.
void PackColumns(const Activations& x, size_t begin, size_t columns, std::byte* panel) noexcept;

// Row i of `out` becomes column begin + i of x, in the form of x and padded with zeros to a whole
// line of 64 bytes; rows of `out` are `stride` bytes apart, and 64-byte aligned.
void TransposeColumns(const Activations& x, size_t begin, size_t columns, std::byte* out,
                      size_t stride) noexcept;

// The share of panel `panel` of w, in any format but kGgml, in the panels of w^T: inputs
// [64 panel, 64 panel + 64) of all of them. `out` is where they begin, in `dtype`, kF32 or kBF16.
void PackTransposed(const Weight& w, size_t panel, DType dtype, std::byte* out) noexcept;

// One or two rows of f32 as the first inputs of panels of `dtype`, kF32 or kBF16 (which rounds),
// panel_bytes apart.
void PackRows(DType dtype, Mat<const float> x, size_t panel_bytes, std::byte* out) noexcept;

// y = a + b, or y += a + b, of the first y.cols of 64 columns; b may be null: zeros.
void AddSums(const float* a, const float* b, bool add, Mat<float> y) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_REPACK_H_
