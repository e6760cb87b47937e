// The product of rows with one panel, written to y or added to it.
#ifndef LINNET_KERNELS_PANEL_PRODUCT_H_
#define LINNET_KERNELS_PANEL_PRODUCT_H_

#include <cstddef>

#include "kernels/matmul.h"

namespace linnet {

// Outputs of one panel: up to 64 columns of y. `scratch` has y.rows * 64 floats, 64-byte aligned;
// `next` is the panel that is read after this one, prefetched if not null.
struct PanelOutputs {
  Mat<float> y;
  bool add;
  float* scratch;
  const std::byte* next;
};

// y = or += x times a panel of `inputs` inputs. Each sum is accumulated in the order of MatMul,
// then added to y once. Either x and the panel are kF32, or both are kBF16 (rows of x padded with
// zeros to a cache line, 64-byte aligned).
void PanelProduct(const Activations& x, const std::byte* panel, size_t inputs,
                  const PanelOutputs& out) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_PANEL_PRODUCT_H_
