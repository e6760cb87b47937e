// bf16 products of many rows on AMX, scheduled so that the tile unit rarely waits for its operands.
#ifndef LINNET_KERNELS_AMX_PRODUCT_H_
#define LINNET_KERNELS_AMX_PRODUCT_H_

#include "kernels/panel_product.h"

namespace linnet {

// As PanelProduct for rows of form kBF16, with the bits of AmxTiles. For level amx only. Fastest if
// the row stride is an odd number of cache lines.
void AmxProduct(const Activations& x, const std::byte* panel, size_t inputs,
                const PanelOutputs& out) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_AMX_PRODUCT_H_
