// Products of activations with a Weight and with each other, split over the pass's threads.
#ifndef LINNET_OPS_PRODUCT_H_
#define LINNET_OPS_PRODUCT_H_

#include "kernels/matmul.h"
#include "ops/pass.h"

namespace linnet {

// Rows of x in the form a product reads: x itself for kF32, else a copy in the arena.
Activations Prepared(const Pass& p, Activation form, Mat<const float> x);

// y = x W^T, overwriting y [x.rows, w.rows]; x is in a form that w's format supports.
void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y);

// The same for rows of f32, in the form that suits w and p.exact. Takes scratch from the arena and
// gives it back.
void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y);

// The form of the products of a backward pass through w: bf16 where the forward ones are coarser
// than f32 and this CPU has it.
Activation BackwardForm(const Pass& p, DType weights);

// The panels of w^T as rows of `form`, kF32 or kBF16, are multiplied with. Lives in the arena.
Weight TransposedPanels(const Pass& p, Activation form, const Weight& w);

// y += x W^T, for panels of PanelType(x.form). A row's bits do not depend on the other rows.
void AddProduct(const Pass& p, const Activations& x, const Weight& w, Mat<float> y);

// g += dy^T x, where x.rows == dy.rows, both of one form, kF32 or kBF16: summed over the rows of
// each of the pass's sequences in order, then over sequences in halves.
void AddOuterProduct(const Pass& p, const Activations& dy, const Activations& x, Mat<float> g);

}  // namespace linnet

#endif  // LINNET_OPS_PRODUCT_H_
