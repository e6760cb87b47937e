// Products of activations with a Weight, split over the pass's threads.
#ifndef LINNET_OPS_PRODUCT_H_
#define LINNET_OPS_PRODUCT_H_

#include "ops/pass.h"

namespace linnet {

// y = x W^T, overwriting y [x.rows, w.rows]. Takes scratch from the arena and gives it back.
void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y);

// The f32 panels of m^T, so that Product(x, TransposedPanels(m)) = x m. Lives in the arena.
Weight TransposedPanels(const Pass& p, Mat<const float> m);

// The values of a weight as row-major f32 [out, in]. Lives in the arena.
Mat<float> Unpacked(const Pass& p, const Weight& w);

}  // namespace linnet

#endif  // LINNET_OPS_PRODUCT_H_
