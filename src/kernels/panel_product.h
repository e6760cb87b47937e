// The product of rows with one panel, overwriting or added to what is there.
#ifndef LINNET_KERNELS_PANEL_PRODUCT_H_
#define LINNET_KERNELS_PANEL_PRODUCT_H_

#include <cstddef>

#include "kernels/matmul.h"

namespace linnet {

// Outputs of one panel: up to 64 columns of y. `scratch` has y.rows * 64 floats, 64-byte aligned;
// `next` is the panel that will be read after this one, brought near meanwhile if it is there.
struct PanelOutputs {
  Mat<float> y;
  bool add;
  float* scratch;
  const std::byte* next;
};

// y = or += x times a panel of `inputs` inputs, each sum in the order of MatMul and then added at
// once. x is of form kF32 and the panel of kF32, or x of kBF16 (rows padded with zeros to a line,
// 64-byte aligned) and the panel of kBF16.
void PanelProduct(const Activations& x, const std::byte* panel, size_t inputs,
                  const PanelOutputs& out) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_PANEL_PRODUCT_H_
