// Matrix products on panels: y[m][n] = sum over k of x[m][k] * w[n][k], k in order.
//
// The law of bits rests here: for one instruction-set level and one mode, an output is the same
// bits whether it is computed with one row or many, and whichever panels and rows a call covers,
// because every kernel adds along k in one fixed order per output, in one accumulator. One row many
// of whose inputs are zero may leave those out, where adding what they give changes no bit.
#ifndef LINNET_KERNELS_MATMUL_H_
#define LINNET_KERNELS_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "tensor/mat.h"
#include "tensor/weight.h"

namespace linnet {

// How a product reads its activations.
enum class Activation : uint8_t {
  kF32,   // the rows as they are
  kBF16,  // rounded to bf16, pairs of inputs side by side
  kI8,    // int8 blocks with scales
};

// The form that products with such weights want at the instruction-set level in
// force. `exact` always gives kF32.
Activation ActivationFor(DType weights, bool exact);

// Whether MatMul can take such weights in such a form at the level in force.
bool Supports(DType weights, Activation form);

// Bytes of one prepared row, a multiple of 64; kF32 needs no preparation.
size_t ActivationBytes(Activation form, size_t cols);

// Writes x.rows prepared rows, ActivationBytes apart. `out` is 64-byte aligned.
void PrepareActivations(Activation form, Mat<const float> x, std::byte* out) noexcept;

// Activations as a product sees them: prepared rows, or f32 rows as they lie.
struct Activations {
  Activation form = Activation::kF32;
  const std::byte* data = nullptr;
  size_t rows = 0;
  size_t stride = 0;  // bytes
};

// Computes outputs [64 * panel_begin, min(64 * panel_end, w.rows)) for all rows;
// nothing else of y is touched. Reentrant; callers split panels and rows over threads. Throws
// std::bad_alloc where a thread's first product finds no memory for what it writes meanwhile.
void MatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
            Mat<float> y);

// Bytes of a packed matrix, a multiple of 64, and of one of its panels.
size_t PackedBytes(DType dtype, size_t rows, size_t cols);
size_t PanelBytes(DType dtype, size_t cols);

// Packs up to 64 rows of f32 values (row i at source + i * stride) into one panel,
// rounding to the format; missing rows become zeros.
void PackPanel(DType dtype, const float* source, size_t stride, size_t rows, size_t cols,
               std::byte* panel) noexcept;

// Whether a panel of bf16 holds no infinity and no NaN.
bool IsFiniteBF16(const std::byte* panel, size_t bytes) noexcept;

// The inverse: the values that the products see. Writes `rows` rows of `cols`.
void UnpackPanel(DType dtype, const std::byte* panel, size_t rows, size_t cols, float* out,
                 size_t stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_MATMUL_H_
