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

// Panels in twos, since a single row reads two at a time, if enough remain to split. The largest
// come first, so that no thread waits long for the last.
std::vector<ProductPlan::PanelRange> ProductPlan::Smallest() const {
  std::vector<PanelRange> ranges;
  for (size_t i = 0; i < weights_.size(); ++i) {
    const size_t panels = weights_[i].panels(), grain = panels >= 4 * threads_ ? 2 : 1;
    for (size_t begin = 0; begin < panels; begin += grain) {
      const size_t end = std::min(begin + grain, panels);
      ranges.push_back({i, begin, end, (end - begin) * BytesOfPanel(weights_[i])});
    }
  }
  std::stable_sort(ranges.begin(), ranges.end(),
                   [](const PanelRange& a, const PanelRange& b) { return a.bytes > b.bytes; });
  return ranges;
}

// Each task is half of a thread's share of the remaining bytes: long runs of memory first, then
// short ones that let threads finish at the same time.
void ProductPlan::Cut(std::span<const PanelRange> smallest) {
  size_t left = 0;
  for (const PanelRange& range : smallest) left += range.bytes;
  cuts_ = {0};
  for (size_t at = 0; at < smallest.size();) {
    const size_t wanted = left / (2 * threads_), first = ranges_.size();
    size_t bytes = 0;
    do {
      const PanelRange& range = smallest[at++];
      bytes += range.bytes;
      if (ranges_.size() == first || ranges_.back().product != range.product ||
          ranges_.back().end != range.begin) {
        ranges_.push_back(range);
      } else {
        ranges_.back().end = range.end;
        ranges_.back().bytes += range.bytes;
      }
    } while (at < smallest.size() && bytes + smallest[at].bytes / 2 <= wanted);
    left -= bytes;
    cuts_.push_back(ranges_.size());
  }
}

void ProductPlan::FetchWhenIdle(ThreadPool& pool) const {
  for (size_t task = 0; task < std::min(tasks(), pool.threads()); ++task) {
    const PanelRange& first = ranges_[cuts_[task]];
    const Weight& w = weights_[first.product];
    pool.FetchWhenIdle(task, w.data + first.begin * BytesOfPanel(w), first.bytes);
  }
}

void ProductPlans::StartPass() {
  // Plans of another model, or of a longer pass. The last plan may be incomplete after an
  // allocation failure.
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
