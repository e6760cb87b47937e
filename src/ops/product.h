// Products of activations with a Weight and with each other, split over the pass's threads.
#ifndef LINNET_OPS_PRODUCT_H_
#define LINNET_OPS_PRODUCT_H_

#include <functional>
#include <span>
#include <vector>

#include "kernels/matmul.h"
#include "ops/pass.h"

namespace linnet {

// Rows of x in the form that a product reads: x itself for kF32, else a copy in the arena.
Activations Prepared(const Pass& p, Activation form, Mat<const float> x);

// The rows of x in that form: its ready rows, or Prepared.
Activations RowsFor(const Pass& p, Activation form, const Var& x);

// The form for a result that is read only by products with these matrices: kF32 if they need
// different forms, or f32 values for a gradient.
Activation FormFor(const Pass& p, std::span<const LinearParam* const> readers);

// Writes row t of y, made by Pass::NewFor, from its values.
void PutReady(const Var& y, size_t t, const float* values);

// Writes `count` values of row t from `column` on to rows of bf16.
void PutBF16(const Activations& rows, size_t t, size_t column, const float* values, size_t count);

// y = x W^T, overwriting y [x.rows, w.rows]; x is in a form that w's format supports.
void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y);

// An elementwise map that is applied to each block of a product while the block is in cache:
// epilogue(block, row, column), called on any thread.
using Epilogue = std::function<void(Mat<float> block, size_t row, size_t column)>;

// The same, then `epilogue` for blocks of any shape that cover y. y may have no memory: then only
// `epilogue` sees the values.
void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y,
             const Epilogue& epilogue);

// Up to so many rows a product is memory-bound, or nearly, and is split by the bytes of its
// weights.
inline constexpr size_t kFewRows = 32;

// One of several independent products. `epilogue` may be null; if it is not, y may have no memory.
struct OneProduct {
  Activations x;
  Weight w;
  Mat<float> y;
  Epilogue epilogue;
};

// Computes all of them in one loop over their panels; at most kFewRows rows.
void Products(const Pass& p, std::span<OneProduct> products);

// Backward of an epilogue: turns the gradient of its output into that of the product, in place, or
// into the bf16 rows `to` if that is not null.
using EpilogueBackward = std::function<void(const Activations* to)>;

// Linear into y [x.rows, w.rows], a Var of the pass, then `epilogue`; `backward` is its gradient.
// y may have no memory only without a tape and without adapters.
void MappedLinear(Pass& p, Var x, const LinearParam& w, Var y, const Epilogue& epilogue,
                  const EpilogueBackward& backward);

// Panels [begin, end) of a weight, as a weight.
Weight PanelsOf(const Weight& w, size_t begin, size_t end);

// y = x W^T for one thread. `scratch` has x.rows * 64 floats.
void MultiplyPanels(const Weight& w, const Activations& x, Mat<float> y, float* scratch);

// The same for rows of f32, in the form for w and p.exact. Uses scratch in the arena.
void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y);

// The form of the products of a backward pass through w: bf16 if the forward products are coarser
// than f32 and this CPU supports it.
Activation BackwardForm(const Pass& p, DType weights);

// The panels of w^T for products with rows of `form`, kF32 or kBF16. Allocated in the arena.
Weight TransposedPanels(const Pass& p, Activation form, const Weight& w);

// y += x W^T, for panels of PanelType(x.form). The bits of a row do not depend on the other rows.
void AddProduct(const Pass& p, const Activations& x, const Weight& w, Mat<float> y);

// Products dy^T x, summed over the rows of each of the pass's sequences in order, then over
// sequences in halves: gradients of matrices that read the same x. Allocates in the arena.
class OuterProduct {
 public:
  // x [rows, inputs], of form kF32 or kBF16.
  OuterProduct(const Pass& p, const Activations& x, size_t inputs);

  // g [outputs, inputs] += dy^T x; dy has x's rows and form.
  void AddTo(const Activations& dy, Mat<float> g) const;

 private:
  // One sequence: its rows, and the panels of x made from them.
  struct Leaf {
    size_t begin, rows;
    size_t column_bytes;  // of a row of dy^T
    size_t panel_bytes;
    const std::byte* panels;
  };
  using Leaves = std::span<const Leaf>;

  size_t panels() const;
  void Sum(Leaves leaves, const Activations& dy, bool add, Mat<float> g) const;
  void NearSum(Leaves leaves, const Activations& dy, bool add, Mat<float> g) const;
  void Block(Leaves leaves, const Activations& dy, size_t begin, size_t panel_begin,
             size_t panel_end, std::byte* scratch, bool add, Mat<float> g) const;

  const Pass& p_;
  size_t inputs_;
  std::vector<Leaf> leaves_;
};

}  // namespace linnet

#endif  // LINNET_OPS_PRODUCT_H_
