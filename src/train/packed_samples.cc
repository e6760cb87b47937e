// Packs documents into rows; the state is reset at the start of each document.
#include <algorithm>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "base/check.h"
#include "train/samples.h"
#include "train/shuffle.h"

namespace linnet {
namespace {

// Consecutive targets of one document. The first input is the token before them, or 0 at the start
// of the document.
struct Run {
  uint64_t begin = 0, size = 0;
  bool at_start = false;
};

// The runs of an epoch: row r has runs[first_run[r]] to runs[first_run[r + 1]].
struct Plan {
  std::vector<Run> runs;
  std::vector<uint64_t> first_run = {0};
  std::vector<uint64_t> order;  // of the rows
};

// Assigns the documents of an epoch to rows.
class Packer {
 public:
  Packer(std::vector<Run> documents, uint64_t ctx, uint64_t seed)
      : ctx_(ctx), documents_(std::move(documents)), of_size_(ctx + 1) {
    Shuffle(std::span(documents_), seed);
    for (uint64_t i = 0; i < documents_.size(); ++i) {
      if (documents_[i].size > ctx) {
        long_.push_back(documents_[i]);
      } else {
        of_size_[documents_[i].size].push_back(i);
      }
    }
    // Taken from the back, so store the first in order last.
    for (uint64_t size = 0; size <= ctx; ++size) {
      std::reverse(of_size_[size].begin(), of_size_[size].end());
      if (!of_size_[size].empty()) sizes_.insert(size);
    }
  }

  Plan Pack() {
    while (!sizes_.empty() || !long_.empty() || cut_.size > 0) {
      Row();
      plan_.first_run.push_back(plan_.runs.size());
    }
    return std::move(plan_);
  }

 private:
  void Row() {
    uint64_t room = ctx_;
    room -= CutFront(cut_, room);
    // Short documents in order; if the next does not fit, the longest that fits.
    while (room > 0 && !sizes_.empty()) {
      uint64_t size = documents_[NextShort()].size;
      if (size > room) {
        const auto above = sizes_.upper_bound(room);
        if (above == sizes_.begin()) break;
        size = *std::prev(above);
      }
      const Run run = Take(size);
      plan_.runs.push_back(run);
      room -= size;
    }
    // Long documents fill the rest, starting where they were cut.
    while (room > 0 && !long_.empty()) {
      room -= CutFront(long_.front(), room);
      if (long_.front().size == 0) long_.pop_front();
    }
    if (room == 0 || sizes_.empty()) return;
    // None fits and no long document is left: cut one rather than leave targets unused.
    cut_ = Take(documents_[NextShort()].size);
    CutFront(cut_, room);
  }

  // The first in order that is short and not taken. There must be one.
  uint64_t NextShort() {
    for (;; ++next_) {
      const uint64_t size = documents_[next_].size;
      if (size > ctx_) continue;
      const auto& same = of_size_[size];
      if (!same.empty() && same.back() == next_) return next_;
    }
  }

  // The first in order of this size.
  Run Take(uint64_t size) {
    auto& same = of_size_[size];
    const Run run = documents_[same.back()];
    same.pop_back();
    if (same.empty()) sizes_.erase(size);
    return run;
  }

  uint64_t CutFront(Run& run, uint64_t room) {
    if (run.size == 0) return 0;
    Run front = run;
    front.size = std::min(room, run.size);
    plan_.runs.push_back(front);
    run.begin += front.size;
    run.size -= front.size;
    run.at_start = false;
    return front.size;
  }

  uint64_t ctx_;
  std::vector<Run> documents_;
  std::vector<std::vector<uint64_t>>
      of_size_;               // indices into documents_ of the short ones not taken
  std::set<uint64_t> sizes_;  // sizes with at least one document
  uint64_t next_ = 0;         // all before it are taken
  std::deque<Run> long_;
  Run cut_;  // starts the next row
  Plan plan_;
};

class PackedSamples final : public SampleSource {
 public:
  PackedSamples(const TokenData& data, size_t ctx, uint64_t seed)
      : data_(data), ctx_(ctx), seed_(seed) {
    LINNET_CHECK(ctx > 0);
    uint64_t targets = 0;
    for (uint64_t i = 0; i < data.documents(); ++i) {
      // Tokens after the last learnt one are not needed.
      uint64_t begin = data.Begin(i), end = data.Begin(i + 1);
      while (end > begin && !data.Learnt(end - 1)) --end;
      if (begin == end) continue;
      const bool at_start = data.Learnt(begin);
      if (!at_start) ++begin;  // the first token is the first input
      documents_.push_back({begin, end - begin, at_start});
      targets += end - begin;
    }
    rows_ = std::max<uint64_t>(1, (targets + ctx - 1) / ctx);
  }

  uint64_t rows_per_epoch() const override { return rows_; }

  void Read(uint64_t index, SampleRow& row) const override {
    const std::shared_ptr<const Plan> plan = PlanOf(index / rows_);
    row.inputs.assign(ctx_, 0);
    row.targets.assign(ctx_, -1);
    row.starts.assign(1, 0);
    if (plan->order.empty()) return;  // nothing is to be learnt
    const uint64_t r = plan->order[index % rows_];
    size_t at = 0;
    for (uint64_t i = plan->first_run[r]; i < plan->first_run[r + 1]; ++i) {
      const Run& run = plan->runs[i];
      if (at > 0) row.starts.push_back(static_cast<uint32_t>(at));
      if (!run.at_start) row.inputs[at] = data_.Token(run.begin - 1);
      for (uint64_t k = 0; k < run.size; ++k, ++at) {
        const int32_t token = data_.Token(run.begin + k);
        if (data_.Learnt(run.begin + k)) row.targets[at] = token;
        if (k + 1 < run.size) row.inputs[at + 1] = token;
      }
    }
  }

 private:
  std::shared_ptr<const Plan> PlanOf(uint64_t epoch) const {
    const std::lock_guard lock(mutex_);
    if (plan_ == nullptr || epoch_ != epoch) {
      const uint64_t seed = MixSeeds(seed_, epoch);
      plan_ = nullptr;  // release its memory first
      Plan plan = Packer(documents_, ctx_, seed).Pack();
      plan.order.resize(plan.first_run.size() - 1);
      for (uint64_t r = 0; r < plan.order.size(); ++r) plan.order[r] = r;
      Shuffle(std::span(plan.order), MixSeeds(seed, 1));
      LINNET_CHECK(plan.order.size() == rows_ || documents_.empty());
      plan_ = std::make_shared<const Plan>(std::move(plan));
      epoch_ = epoch;
    }
    return plan_;
  }

  const TokenData& data_;
  size_t ctx_;
  uint64_t seed_, rows_ = 1;
  std::vector<Run> documents_;
  mutable std::mutex mutex_;
  mutable std::shared_ptr<const Plan> plan_;
  mutable uint64_t epoch_ = 0;
};

}  // namespace

std::unique_ptr<SampleSource> NewPackedSamples(const TokenData& data, size_t ctx, uint64_t seed) {
  return std::make_unique<PackedSamples>(data, ctx, seed);
}

}  // namespace linnet
