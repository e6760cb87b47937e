#include "train/lanes.h"

#include <algorithm>
#include <bit>

#include "kernels/rows.h"
#include "ops/sum_tree.h"
#include "train/adamw.h"

namespace linnet {
namespace {

// Of the gradients of all lanes but the first, which are memory beside what a pass takes.
constexpr size_t kMostGradientBytes = size_t{1} << 30;

}  // namespace

// Gradients are summed in halves, so lanes halve the rows evenly, and the threads.
size_t LanesFor(size_t rows, size_t threads, size_t gradient_bytes, const PassOptions& options) {
  if (options.recompute) return 1;
  size_t lanes = size_t{1} << std::min(std::countr_zero(rows), std::countr_zero(threads));
  while (lanes > 1 && (lanes - 1) * gradient_bytes > kMostGradientBytes) lanes /= 2;
  return lanes;
}

struct Lanes::Lane {
  Lane(const Network& of, const PassOptions& options, ThreadPool& threads)
      : network(of), passes(of, options, threads) {}
  Lane(std::unique_ptr<Network> twin_of, const Network& of, const PassOptions& options,
       size_t threads)
      : twin(std::move(twin_of)),
        own(std::make_unique<ThreadPool>(threads)),
        network(twin != nullptr ? *twin : of),
        passes(network, options, *own) {}

  std::unique_ptr<Network> twin;    // of all lanes but the first
  std::unique_ptr<ThreadPool> own;  // none if there is one lane
  const Network& network;
  Passes passes;
};

Lanes::Lanes(const Network& network, const PassOptions& options, ThreadPool& pool)
    : network_(network), options_(options), pool_(pool) {}

Lanes::~Lanes() = default;

void Lanes::Open(size_t rows) {
  const size_t threads = pool_.threads();
  const size_t count = LanesFor(rows, threads, network_.gradients().size_bytes(), options_);
  if (count == lanes_.size()) return;
  lanes_.clear();
  if (count == 1) lanes_.push_back(std::make_unique<Lane>(network_, options_, pool_));
  for (size_t i = 0; lanes_.size() < count; ++i) {
    auto twin = i == 0 ? nullptr : network_.Twin(pool_);
    lanes_.push_back(std::make_unique<Lane>(std::move(twin), network_, options_, threads / count));
  }
}

double Lanes::Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
                    uint64_t dropout_seed) {
  Open(rows.size());
  if (lanes_.size() == 1) {
    const std::span<float> g = network_.gradients();
    pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
      std::fill(g.begin() + begin, g.begin() + end, 0.0f);
    });
    return lanes_.front()->passes.Learn(rows, first, scale, dropout_seed);
  }
  const size_t each = rows.size() / lanes_.size();
  std::vector<double> losses(lanes_.size());
  pool_.For(lanes_.size(), [&](size_t i) {
    const std::span<float> g = lanes_[i]->network.gradients();
    std::fill(g.begin(), g.end(), 0.0f);
    losses[i] = lanes_[i]->passes.Learn(rows.subspan(i * each, each), first + i * each, scale,
                                        dropout_seed);
  });
  SumGradients();
  return SumInHalves(losses);
}

// Leaves the sum in the first lane's, which is the network's. What waits for its other half stays
// where it is, so a few values at a time go through all lanes.
void Lanes::SumGradients() const {
  pool_.ForRanges(network_.gradients().size(), kAdamBlock, [&](size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += kAdamBlock) {
      const size_t n = std::min(kAdamBlock, end - at);
      for (size_t half = 1; half < lanes_.size(); half *= 2) {
        for (size_t i = 0; i < lanes_.size(); i += 2 * half) {
          float* left = lanes_[i]->network.gradients().data() + at;
          AddRow(left, lanes_[i + half]->network.gradients().data() + at, n, left);
        }
      }
    }
  });
}

uint64_t Lanes::Bytes(size_t rows, size_t length) {
  Open(rows);
  const size_t lanes = lanes_.size();
  return lanes * lanes_.front()->passes.Bytes(rows / lanes, length) +
         (lanes - 1) * network_.gradients().size_bytes();
}

double Lanes::Seconds(size_t rows, size_t length) {
  Open(rows);
  std::vector<double> seconds(lanes_.size());
  pool_.For(lanes_.size(), [&](size_t i) { seconds[i] = lanes_[i]->passes.Seconds(length); });
  const double slowest = *std::max_element(seconds.begin(), seconds.end());
  return slowest * static_cast<double>(rows) / static_cast<double>(lanes_.size());
}

}  // namespace linnet
