// DeferredProducts: products that do not read one another, in one loop.
#ifndef LINNET_OPS_DEFERRED_PRODUCTS_H_
#define LINNET_OPS_DEFERRED_PRODUCTS_H_

#include <vector>

#include "ops/product.h"

namespace linnet {

// From its making to Run(), Linear and its like wait if they are of a few rows, in inference, and
// without adapters: then they run all at once, where threads meet and memory's stream breaks off
// once instead of after each. What they give may be read after Run() only, which must not be left
// out. One at a time of a pass.
class DeferredProducts {
 public:
  explicit DeferredProducts(Pass& p);
  ~DeferredProducts();
  DeferredProducts(const DeferredProducts&) = delete;
  DeferredProducts& operator=(const DeferredProducts&) = delete;

  // Whether products of so many rows wait.
  bool Defers(size_t rows) const;
  // `epilogue` must not refer to what may be gone by then.
  void Add(const OneProduct& product) { waiting_.push_back(product); }
  void Run();

 private:
  Pass& p_;
  std::vector<OneProduct> waiting_;
};

}  // namespace linnet

#endif  // LINNET_OPS_DEFERRED_PRODUCTS_H_
