// ProductPlans: how products of few rows are shared out, from one pass to the next.
#ifndef LINNET_OPS_PRODUCT_PLANS_H_
#define LINNET_OPS_PRODUCT_PLANS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ops/product.h"
#include "tensor/weight.h"

namespace linnet {

// How products that run together are cut into tasks.
class ProductPlan {
 public:
  ProductPlan(std::span<const OneProduct> products, size_t threads);

  bool IsFor(std::span<const OneProduct> products, size_t threads) const;
  size_t tasks() const { return cuts_.size() - 1; }

  // Calls body(i, begin, end) for the panels of product i that a task multiplies with.
  template <class F>
  void EachRange(size_t task, const F& body) const {
    for (size_t at = cuts_[task]; at < cuts_[task + 1]; ++at) {
      body(ranges_[at].product, ranges_[at].begin, ranges_[at].end);
    }
  }

  // Lets each thread fetch the weights its own task begins with.
  void FetchWhenIdle(ThreadPool& pool) const;

 private:
  // Panels of one of the products.
  struct PanelRange {
    size_t product, begin, end, bytes;
  };

  std::vector<PanelRange> Smallest() const;
  void Cut(std::span<const PanelRange> smallest);

  size_t threads_;
  std::vector<Weight> weights_;
  std::vector<PanelRange> ranges_;
  std::vector<size_t> cuts_;  // the ranges tasks begin with, and the end
};

// The plans of a pass in their order. A pass is most often like the one before, so plans are made
// once, and while a product runs it is known which comes next: threads that wait for others, or for
// what is done between products, fetch its weights meanwhile. Belongs to one Workspace.
class ProductPlans {
 public:
  // Of a pass: the next product is its first.
  void StartPass();
  // The plan of these products. Lives until the next call.
  const ProductPlan& Next(std::span<const OneProduct> products, ThreadPool& pool);

 private:
  std::vector<ProductPlan> plans_;
  size_t next_ = 0;
};

}  // namespace linnet

#endif  // LINNET_OPS_PRODUCT_PLANS_H_
