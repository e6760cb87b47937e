#include "train/replicas.h"

#include <algorithm>
#include <bit>

#include "kernels/rows.h"
#include "ops/sum_tree.h"
#include "train/adamw.h"

namespace linnet {
namespace {

// Limit for the gradients of all replicas except the first, which is memory beyond that of a pass.
constexpr size_t kMostGradientBytes = size_t{1} << 30;

}  // namespace

// Gradients are summed in halves, so replicas must split rows and threads into equal halves.
size_t ReplicasFor(size_t rows, size_t threads, size_t gradient_bytes, const PassOptions& options) {
  if (options.recompute) return 1;
  size_t replicas = size_t{1} << std::min(std::countr_zero(rows), std::countr_zero(threads));
  while (replicas > 1 && (replicas - 1) * gradient_bytes > kMostGradientBytes) replicas /= 2;
  return replicas;
}

struct Replicas::Replica {
  Replica(const Network& of, const PassOptions& options, ThreadPool& threads)
      : network(of), passes(of, options, threads) {}
  Replica(std::unique_ptr<Network> twin_of, const Network& of, const PassOptions& options,
          size_t threads)
      : twin(std::move(twin_of)),
        own(std::make_unique<ThreadPool>(threads)),
        network(twin != nullptr ? *twin : of),
        passes(network, options, *own) {}

  std::unique_ptr<Network> twin;    // of all replicas except the first
  std::unique_ptr<ThreadPool> own;  // null if there is one replica
  const Network& network;
  Passes passes;
};

Replicas::Replicas(const Network& network, const PassOptions& options, ThreadPool& pool)
    : network_(network), options_(options), pool_(pool) {}

Replicas::~Replicas() = default;

void Replicas::Open(size_t rows) {
  const size_t threads = pool_.threads();
  const size_t count = ReplicasFor(rows, threads, network_.gradients().size_bytes(), options_);
  if (count == replicas_.size()) return;
  replicas_.clear();
  if (count == 1) replicas_.push_back(std::make_unique<Replica>(network_, options_, pool_));
  for (size_t i = 0; replicas_.size() < count; ++i) {
    auto twin = i == 0 ? nullptr : network_.Twin(pool_);
    replicas_.push_back(
        std::make_unique<Replica>(std::move(twin), network_, options_, threads / count));
  }
}

double Replicas::Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
                       uint64_t dropout_seed) {
  Open(rows.size());
  if (replicas_.size() == 1) {
    const std::span<float> g = network_.gradients();
    pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
      std::fill(g.begin() + begin, g.begin() + end, 0.0f);
    });
    return replicas_.front()->passes.Learn(rows, first, scale, dropout_seed);
  }
  const size_t each = rows.size() / replicas_.size();
  std::vector<double> losses(replicas_.size());
  pool_.For(replicas_.size(), [&](size_t i) {
    const std::span<float> g = replicas_[i]->network.gradients();
    std::fill(g.begin(), g.end(), 0.0f);
    losses[i] = replicas_[i]->passes.Learn(rows.subspan(i * each, each), first + i * each, scale,
                                           dropout_seed);
  });
  SumGradients();
  return SumInHalves(losses);
}

// Leaves the sum in the gradients of the first replica, which are the network's. Partial sums stay
// in place, so all replicas are added a few values at a time.
void Replicas::SumGradients() const {
  pool_.ForRanges(network_.gradients().size(), kAdamBlock, [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += kAdamBlock) {
      const size_t n = std::min(kAdamBlock, end - at);
      for (size_t half = 1; half < replicas_.size(); half *= 2) {
        for (size_t i = 0; i < replicas_.size(); i += 2 * half) {
          float* left = replicas_[i]->network.gradients().data() + at;
          AddRow(left, replicas_[i + half]->network.gradients().data() + at, n, left);
        }
      }
    }
  });
}

uint64_t Replicas::Bytes(size_t rows, size_t length) {
  Open(rows);
  const size_t replicas = replicas_.size();
  return replicas * replicas_.front()->passes.Bytes(rows / replicas, length) +
         (replicas - 1) * network_.gradients().size_bytes();
}

double Replicas::Seconds(size_t rows, size_t length) {
  Open(rows);
  std::vector<double> seconds(replicas_.size());
  pool_.For(replicas_.size(), [&](size_t i) { seconds[i] = replicas_[i]->passes.Seconds(length); });
  const double slowest = *std::max_element(seconds.begin(), seconds.end());
  return slowest * static_cast<double>(rows) / static_cast<double>(replicas_.size());
}

}  // namespace linnet
