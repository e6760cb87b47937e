#include "ops/product_plans.h"

#include <algorithm>

#include "kernels/ggml_tiles.h"
#include "kernels/matmul.h"

namespace linnet {
namespace {

size_t BytesOfPanel(const Weight& w) {
  if (w.dtype != DType::kGgml) return PanelBytes(w.dtype, w.cols);
  return kPanelRows * (w.cols / ValuesPerBlock(w.block) * BytesPerBlock(w.block));
}

bool AreCutAlike(const Weight& a, const Weight& b) {
  return a.data == b.data && a.rows == b.rows && a.cols == b.cols && a.dtype == b.dtype &&
         a.block == b.block;
}

}  // namespace

ProductPlan::ProductPlan(std::span<const OneProduct> products, size_t threads) : threads_(threads) {
  for (const OneProduct& product : products) weights_.push_back(product.w);
  Cut(Smallest());
}

bool ProductPlan::IsFor(std::span<const OneProduct> products, size_t threads) const {
  return threads == threads_ &&
         std::equal(
             products.begin(), products.end(), weights_.begin(), weights_.end(),
             [](const OneProduct& product, const Weight& w) { return AreCutAlike(product.w, w); });
}

// Panels by twos, since one row reads two at a time, where that leaves enough to share out. The
// largest come first: what comes last should keep no thread waiting for long.
std::vector<ProductPlan::Part> ProductPlan::Smallest() const {
  std::vector<Part> parts;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const size_t panels = weights_[i].panels(), grain = panels >= 4 * threads_ ? 2 : 1;
    for (size_t begin = 0; begin < panels; begin += grain) {
      const size_t end = std::min(begin + grain, panels);
      parts.push_back({i, begin, end, (end - begin) * BytesOfPanel(weights_[i])});
    }
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const Part& a, const Part& b) { return a.bytes > b.bytes; });
  return parts;
}

// Each task is half of a thread's share of what is left: long runs of memory first, and short ones
// that let threads finish together.
void ProductPlan::Cut(std::span<const Part> smallest) {
  size_t left = 0;
  for (const Part& part : smallest) left += part.bytes;
  cuts_ = {0};
  for (size_t at = 0; at < smallest.size();) {
    const size_t wanted = left / (2 * threads_), first = parts_.size();
    size_t bytes = 0;
    do {
      const Part& part = smallest[at++];
      bytes += part.bytes;
      if (parts_.size() == first || parts_.back().product != part.product ||
          parts_.back().end != part.begin) {
        parts_.push_back(part);
      } else {
        parts_.back().end = part.end;
        parts_.back().bytes += part.bytes;
      }
    } while (at < smallest.size() && bytes + smallest[at].bytes / 2 <= wanted);
    left -= bytes;
    cuts_.push_back(parts_.size());
  }
}

void ProductPlan::FetchWhenIdle(ThreadPool& pool) const {
  for (size_t task = 0; task < std::min(tasks(), pool.threads()); ++task) {
    const Part& first = parts_[cuts_[task]];
    const Weight& w = weights_[first.product];
    pool.FetchWhenIdle(task, w.data + first.begin * BytesOfPanel(w), first.bytes);
  }
}

void ProductPlans::StartPass() {
  // What another model left, or a longer pass. The last one made may have found no memory.
  const size_t kept = std::min(next_, plans_.size());
  if (next_ != 0) plans_.erase(plans_.begin() + static_cast<ptrdiff_t>(kept), plans_.end());
  next_ = 0;
}

const ProductPlan& ProductPlans::Next(std::span<const OneProduct> products, ThreadPool& pool) {
  const size_t here = next_++;
  if (here == plans_.size()) {
    plans_.emplace_back(products, pool.threads());
  } else if (!plans_[here].IsFor(products, pool.threads())) {
    plans_[here] = ProductPlan(products, pool.threads());
  }
  plans_[next_ < plans_.size() ? next_ : 0].FetchWhenIdle(pool);
  return plans_[here];
}

}  // namespace linnet
