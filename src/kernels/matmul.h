// Matrix products on panels: y[m][n] = sum over k of x[m][k] * w[n][k], k in order.
//
// The guarantee of identical bits rests on this file: for one instruction-set level and one mode,
// an output has the same bits whether it is computed with one row or many, and whichever panels and
// rows a call covers, because every kernel accumulates along k in one fixed order per output, in
// one accumulator. A single row with many zero inputs may skip those where adding their products
// changes no bit.
#ifndef LINNET_KERNELS_MATMUL_H_
#define LINNET_KERNELS_MATMUL_H_

#include <cstddef>
#include <cstdint>

#include "tensor/mat.h"
#include "tensor/weight.h"

namespace linnet {

// The form in which a product reads its activations.
enum class Activation : uint8_t {
  kF32,   // f32
  kBF16,  // rounded to bf16, pairs of inputs adjacent
  kI8,    // int8 blocks with scales
};

// The form of activations for products with weights of this type at the current instruction-set
// level. `exact` always gives kF32.
Activation ActivationFor(DType weights, bool exact);

// Whether MatMul supports this pair of types at the current level.
bool Supports(DType weights, Activation form);

// Bytes of one prepared row, a multiple of 64; kF32 needs no preparation.
size_t ActivationBytes(Activation form, size_t cols);

// Writes x.rows prepared rows, ActivationBytes apart. `out` is 64-byte aligned.
void PrepareActivations(Activation form, Mat<const float> x, std::byte* out) noexcept;

// Activations as a product reads them: prepared rows, or the f32 rows themselves.
struct Activations {
  Activation form = Activation::kF32;
  const std::byte* data = nullptr;
  size_t rows = 0;
  size_t stride = 0;  // bytes
};

// Computes outputs [64 * panel_begin, min(64 * panel_end, w.rows)) for all rows and writes nothing
// else of y. Reentrant; callers split panels and rows over threads. Throws std::bad_alloc if a
// thread's first product cannot allocate its scratch.
void MatMul(const Weight& w, const Activations& x, size_t panel_begin, size_t panel_end,
            Mat<float> y);

// Bytes of a packed matrix, a multiple of 64, and of one of its panels.
size_t PackedBytes(DType dtype, size_t rows, size_t cols);
size_t PanelBytes(DType dtype, size_t cols);

// Packs up to 64 rows of f32 values (row i at source + i * stride) into one panel,
// rounding to the format; missing rows become zeros.
void PackPanel(DType dtype, const float* source, size_t stride, size_t rows, size_t cols,
               std::byte* panel) noexcept;

// Whether a bf16 panel holds only finite values.
bool IsFiniteBF16(const std::byte* panel, size_t bytes) noexcept;

// The inverse of PackPanel: the values that products use. Writes `rows` rows of `cols`.
void UnpackPanel(DType dtype, const std::byte* panel, size_t rows, size_t cols, float* out,
                 size_t stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_MATMUL_H_
