#include "models/experts.h"

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "base/memory.h"
#include "base/whole_pages.h"
#include "kernels/matmul.h"
#include "models/pack_panels.h"
#include "models/packed.h"

namespace linnet {
namespace {

// One prime for each layer, from the trainer (rwkv-arena's cmix_x060moe.py).
constexpr std::array<uint64_t, kRoutedLayers> kPrimes = {
    5099, 5101, 5107, 5113, 5119, 5147, 5153, 5167, 5171, 5179, 5189, 5197, 5209, 5227,
    5231, 5233, 5237, 5261, 5273, 5279, 5281, 5297, 5303, 5309, 5323, 5333, 5347, 5351,
    5381, 5387, 5393, 5399, 5407, 5413, 5417, 5419, 5431, 5437, 5441, 5443};

std::span<const std::byte> BytesOf(const TensorView& t) {
  if (t.encoding != nullptr) return t.encoding->bytes();
  return {t.data, t.elements() * ElementBytes(t.type)};
}

}  // namespace

size_t ExpertOf(int32_t token, size_t layer, size_t experts) {
  return static_cast<uint64_t>(token) * kPrimes[layer] % experts;
}

std::vector<ExpertRows> RowsByExpert(std::span<const int32_t> tokens, size_t layer,
                                     size_t experts) {
  std::vector<ExpertRows> groups;
  std::vector<size_t> group_of(experts, SIZE_MAX);
  for (size_t row = 0; row < tokens.size(); ++row) {
    const size_t expert = ExpertOf(tokens[row], layer, experts);
    if (group_of[expert] == SIZE_MAX) {
      group_of[expert] = groups.size();
      groups.push_back({expert, {}});
    }
    groups[group_of[expert]].rows.push_back(row);
  }
  return groups;
}

ExpertStore::ExpertStore(const TensorFile& file, size_t experts, uint64_t limit)
    : file_(file),
      experts_(experts),
      available_(AvailableMemory()),
      limit_(limit != 0 ? limit : available_ / 4) {}

size_t ExpertStore::Add(size_t layer, size_t expert, const TensorView& matrix,
                        std::optional<DType> packed_as) {
  if (numbers_.size() <= layer) numbers_.resize(layer + 1);
  if (numbers_[layer].size() <= expert) numbers_[layer].resize(expert + 1);
  numbers_[layer][expert].push_back(sources_.size());
  file_bytes_ += BytesOf(matrix).size();
  sources_.push_back({matrix, packed_as});
  return sources_.size() - 1;
}

void ExpertStore::Request(std::span<const int32_t> tokens, size_t layer) const {
  if (sources_.empty()) return;
  // If they do not fit, pages that are requested too early are dropped before they are used.
  const bool all_at_once = file_bytes_ <= available_ / 2;
  if (all_at_once && layer != 0) return;
  constexpr size_t kAhead = 2;
  const size_t begin = layer == 0 ? 0 : layer + kAhead;
  const size_t end = all_at_once ? numbers_.size() : layer + kAhead + 1;
  for (size_t next = begin; next < std::min(end, numbers_.size()); ++next) {
    std::set<size_t> used;
    for (const int32_t token : tokens) used.insert(ExpertOf(token, next, experts_));
    RequestLayer(used, next);
  }
}

void ExpertStore::RequestLayer(const std::set<size_t>& used, size_t layer) const {
  for (const size_t expert : used) {
    if (expert >= numbers_[layer].size()) continue;
    for (const size_t number : numbers_[layer][expert]) {
      const Source& source = sources_[number];
      if (source.packed_as) {
        const std::lock_guard lock(mutex_);
        if (kept_.contains(number)) continue;
      }
      AdviseWholePages(BytesOf(source.matrix), MADV_WILLNEED);
    }
  }
}

std::shared_ptr<const PackedExpert> ExpertStore::Pack(const Source& source,
                                                      ThreadPool& pool) const {
  const TensorView& t = source.matrix;
  const DType dtype = *source.packed_as;
  const bool own = dtype == OwnType(t) && dtype != DType::kI8 && dtype != DType::kNF4;
  const MatrixToPack matrix{t.shape[0], t.shape[1], dtype, file_.path(), own ? "" : t.name};
  ReadRows(t, 0, 0, nullptr);  // throws here, not on another thread
  auto packed = std::make_shared<PackedExpert>();
  packed->bytes = Buffer(PackedBytes(dtype, matrix.out, matrix.in));
  const auto read = [&](size_t begin, size_t count, float* rows) {
    ReadRows(t, begin, count, rows);
  };
  packed->weight = PackPanels(matrix, read, nullptr, pool, packed->bytes.data());
  file_.Drop(t);
  return packed;
}

std::shared_ptr<const PackedExpert> ExpertStore::Packed(size_t number, ThreadPool& pool) const {
  const Source& source = sources_[number];
  const uint64_t bytes =
      PackedBytes(*source.packed_as, source.matrix.shape[0], source.matrix.shape[1]);
  std::unique_lock lock(mutex_);
  packed_.wait(lock, [&] { return !packing_.contains(number); });
  if (const auto it = kept_.find(number); it != kept_.end()) {
    order_.splice(order_.begin(), order_, it->second.place);
    return it->second.packed;
  }
  // Whoever uses one of those that are dropped here still holds it.
  while (!order_.empty() && kept_bytes_ + bytes > limit_) {
    const auto oldest = kept_.find(order_.back());
    kept_bytes_ -= oldest->second.packed->bytes.size();
    kept_.erase(oldest);
    order_.pop_back();
  }
  kept_bytes_ += bytes;
  packing_.insert(number);
  lock.unlock();
  std::shared_ptr<const PackedExpert> packed;
  const auto done = [&] {
    lock.lock();
    packing_.erase(number);
    packed_.notify_all();
  };
  try {
    packed = Pack(source, pool);
  } catch (...) {
    done();
    kept_bytes_ -= bytes;
    throw;
  }
  done();
  order_.push_front(number);
  kept_.emplace(number, Kept{packed, order_.begin()});
  return packed;
}

uint64_t ExpertStore::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

bool ExpertStack::ready() const {
  return std::none_of(matrices.begin(), matrices.end(),
                      [](const ExpertParam& m) { return m.stored.has_value(); });
}

ExpertLease::ExpertLease(const Pass& p, const ExpertStack& stack, size_t expert)
    : matrix_(&stack.matrices[expert].matrix) {
  const auto& stored = stack.matrices[expert].stored;
  if (!stored) return;
  LINNET_CHECK(p.tape == nullptr);  // it would outlive the lease
  packed_ = stack.store->Packed(*stored, p.pool);
  own_.w = packed_->weight;
  own_.id = matrix_->id;
  matrix_ = &own_;
}

}  // namespace linnet
