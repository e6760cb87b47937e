// Experts: which of a layer's experts a token uses, and their matrices, in memory only if they are
// used.
#ifndef LINNET_MODELS_EXPERTS_H_
#define LINNET_MODELS_EXPERTS_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "io/tensor_file.h"
#include "io/tensor_view.h"
#include "linnet/dtype.h"
#include "ops/pass.h"

namespace linnet {

// The routing is known for so many layers.
inline constexpr size_t kRoutedLayers = 40;
inline constexpr size_t kMostExperts = 1024;  // of a layer

// The expert of a token, of `experts` in a layer.
size_t ExpertOf(int32_t token, size_t layer, size_t experts);

// Rows of a pass with the same expert, ascending.
struct ExpertRows {
  size_t expert = 0;
  std::vector<size_t> rows;
};
// Every row once.
std::vector<ExpertRows> RowsByExpert(std::span<const int32_t> tokens, size_t layer, size_t experts);

// A packed matrix that nothing else owns.
struct PackedExpert {
  Buffer bytes;
  Weight weight;
};

// The matrices of a model's experts. Those of packed files run where they are mapped. Others are
// packed at their first use, and the ones used last are kept. Thread-safe, except for Add.
class ExpertStore {
 public:
  // `file` must outlive it. At most `limit` bytes of packed matrices are kept, and those that are
  // in use; 0: a quarter of the available memory.
  ExpertStore(const TensorFile& file, size_t experts, uint64_t limit);

  // Registers a matrix of the file, to be packed if `packed_as` is set. Returns its number.
  size_t Add(size_t layer, size_t expert, const TensorView& matrix, std::optional<DType> packed_as);

  // Requests from the system the pages that the next layers need for these tokens: of all layers
  // with layer 0, unless the experts would take most of the memory. Of matrices in the file only.
  void Request(std::span<const int32_t> tokens, size_t layer) const;

  // The matrix stays in memory at least as long as the result. Throws Error kBadModel if it is
  // damaged.
  std::shared_ptr<const PackedExpert> Packed(size_t number, ThreadPool& pool) const;

  uint64_t kept_bytes() const;

 private:
  struct Source {
    TensorView matrix;
    std::optional<DType> packed_as;
  };
  struct Kept {
    std::shared_ptr<const PackedExpert> packed;
    std::list<size_t>::iterator place;  // in order_
  };

  void RequestLayer(const std::set<size_t>& used, size_t layer) const;
  std::shared_ptr<const PackedExpert> Pack(const Source& source, ThreadPool& pool) const;

  const TensorFile& file_;
  const size_t experts_;
  const uint64_t available_;  // memory when the model was opened
  const uint64_t limit_;
  std::vector<Source> sources_;
  std::vector<std::vector<std::vector<size_t>>> numbers_;  // of each layer's experts
  uint64_t file_bytes_ = 0;                                // of all sources

  mutable std::mutex mutex_;
  mutable std::condition_variable packed_;
  mutable std::set<size_t> packing_;  // by some thread
  mutable std::map<size_t, Kept> kept_;
  mutable std::list<size_t> order_;  // the last used one first
  mutable uint64_t kept_bytes_ = 0;
};

// One matrix of a layer's experts. If `stored` is set, its weight has no data: see ExpertLease.
struct ExpertParam {
  LinearParam matrix;
  std::optional<size_t> stored{};  // the number in the store
};

// The same matrix of all experts of a layer.
struct ExpertStack {
  std::vector<ExpertParam> matrices;
  const ExpertStore* store = nullptr;

  // Whether all are in memory or mapped.
  bool ready() const;
};

// One of them, ready to run as long as this lives.
class ExpertLease {
 public:
  ExpertLease(const Pass& p, const ExpertStack& stack, size_t expert);
  ExpertLease(const ExpertLease&) = delete;
  ExpertLease& operator=(const ExpertLease&) = delete;

  const LinearParam& matrix() const { return *matrix_; }

 private:
  std::shared_ptr<const PackedExpert> packed_;
  LinearParam own_;
  const LinearParam* matrix_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_EXPERTS_H_
