// DeferredProducts: independent products, run in one loop.
#ifndef LINNET_OPS_DEFERRED_PRODUCTS_H_
#define LINNET_OPS_DEFERRED_PRODUCTS_H_

#include <vector>

#include "ops/product.h"

namespace linnet {

// From construction to Run(), Linear and the ops built on it only record their product, if it has
// few rows, no adapters, and there is no tape. Run() computes all of them in one loop over their
// weights: threads synchronize once, and the weights stream from memory without a break. The
// results may be read only after Run(), which must be called. At most one per pass at a time.
class DeferredProducts {
 public:
  explicit DeferredProducts(Pass& p);
  ~DeferredProducts();
  DeferredProducts(const DeferredProducts&) = delete;
  DeferredProducts& operator=(const DeferredProducts&) = delete;

  // Whether products of so many rows are deferred.
  bool Defers(size_t rows) const;
  // `epilogue` runs in Run(): what it refers to must live until then.
  void Add(const OneProduct& product) { waiting_.push_back(product); }
  void Run();

 private:
  Pass& p_;
  std::vector<OneProduct> waiting_;
};

}  // namespace linnet

#endif  // LINNET_OPS_DEFERRED_PRODUCTS_H_
