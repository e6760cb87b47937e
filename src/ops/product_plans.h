// ProductPlans: how products of few rows are split into tasks, kept from one pass to the next.
#ifndef LINNET_OPS_PRODUCT_PLANS_H_
#define LINNET_OPS_PRODUCT_PLANS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "ops/product.h"
#include "tensor/weight.h"

namespace linnet {

// How products that run in one loop are split into tasks.
class ProductPlan {
 public:
  ProductPlan(std::span<const OneProduct> products, size_t threads);

  bool IsFor(std::span<const OneProduct> products, size_t threads) const;
  size_t tasks() const { return cuts_.size() - 1; }

  // Calls body(i, begin, end) for the ranges of panels of product i in a task.
  template <class F>
  void EachRange(size_t task, const F& body) const {
    for (size_t at = cuts_[task]; at < cuts_[task + 1]; ++at) {
      body(ranges_[at].product, ranges_[at].begin, ranges_[at].end);
    }
  }

  // Lets each thread prefetch the first weights of its own task.
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
  std::vector<size_t> cuts_;  // the first range of each task, and the end
};

// The plans of a pass in their order. Passes are usually alike, so plans are made once, and while
// one product runs the next one is known: threads that wait for others, or for work between
// products, prefetch its weights. Belongs to one Workspace.
class ProductPlans {
 public:
  // Starts a pass: the next product is its first.
  void StartPass();
  // The plan of these products, valid until the next call.
  const ProductPlan& Next(std::span<const OneProduct> products, ThreadPool& pool);

 private:
  std::vector<ProductPlan> plans_;
  size_t next_ = 0;
};

}  // namespace linnet

#endif  // LINNET_OPS_PRODUCT_PLANS_H_
