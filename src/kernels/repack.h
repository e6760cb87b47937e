// Reordering values for the products of the backward pass: panels of a transposed weight, rows of
// activations as panels or as columns, and sums of panels as rows.
#ifndef LINNET_KERNELS_REPACK_H_
#define LINNET_KERNELS_REPACK_H_

#include <cstddef>

#include "kernels/matmul.h"

namespace linnet {

// The panel format that rows of a form (kF32 or kBF16) are multiplied with.
constexpr DType PanelType(Activation form) {
  return form == Activation::kBF16 ? DType::kBF16 : DType::kF32;
}

// Columns [begin, begin + columns), at most 64, of the rows of x as one panel of x.rows inputs, so
// that a product with it sums over the rows. x is kF32 or kBF16; missing outputs are zeros.
void PackColumns(const Activations& x, size_t begin, size_t columns, std::byte* panel) noexcept;

// Row i of `out` becomes column begin + i of x, in the form of x, padded with zeros to a whole
// cache line; rows of `out` are `stride` bytes apart and 64-byte aligned.
void TransposeColumns(const Activations& x, size_t begin, size_t columns, std::byte* out,
                      size_t stride) noexcept;

// Writes panel `panel` of w, in any format but kGgml, into the panels of w^T: inputs [64 panel, 64
// panel + 64) of all of them. `out` is the start of those panels, of `dtype` kF32 or kBF16.
void PackTransposed(const Weight& w, size_t panel, DType dtype, std::byte* out) noexcept;

// Writes one or two rows of f32 as the first inputs of panels of `dtype`, kF32 or kBF16 (rounded),
// panel_bytes apart.
void PackRows(DType dtype, Mat<const float> x, size_t panel_bytes, std::byte* out) noexcept;

// y = a + b, or y += a + b, over the first y.cols of 64 columns; a null b is zeros.
void AddSums(const float* a, const float* b, bool add, Mat<float> y) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_REPACK_H_
