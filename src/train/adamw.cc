#include "train/adamw.h"

#include <algorithm>
#include <cmath>

namespace linnet {

AdamW::AdamW(const Network& network, size_t begin, size_t end, const AdamWOptions& options)
    : values_(network.values()),
      gradients_(network.gradients()),
      begin_(begin),
      end_(end),
      options_(options),
      memory_(std::max<size_t>(1, 2 * (end - begin) * sizeof(float))),
      first_(reinterpret_cast<float*>(memory_.data())),
      second_(first_ + (end - begin)) {
  for (const Parameter& p : network.parameters()) {
    const Group group = GroupOf(network.config().generation, p.name, p.shape);
    const auto at = static_cast<size_t>(p.v.data - values_.data());
    const size_t last = std::min(end, at + p.v.rows * p.v.cols);
    for (size_t i = std::max(begin, at); i < last;) {
      const size_t next = std::min(last, (i / kAdamBlock + 1) * kAdamBlock);
      pieces_.push_back({i, next - i, group});
      i = next;
    }
  }
}

void AdamW::Update(uint64_t step, double rate, double scale, ThreadPool& pool) {
  const auto t = static_cast<double>(step);
  const double correction1 = 1 - std::pow(options_.beta1, t);
  const double correction2 = std::sqrt(1 - std::pow(options_.beta2, t));
  const auto b1 = static_cast<float>(options_.beta1), b2 = static_cast<float>(options_.beta2);
  const auto eps = static_cast<float>(options_.eps), s = static_cast<float>(scale);
  const auto root = static_cast<float>(1 / correction2);
  pool.ForRanges(pieces_.size(), 1, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const Piece& piece = pieces_[i];
      const double lr = rate * piece.group.rate;
      const auto keep =
          static_cast<float>(piece.group.decay ? 1 - lr * options_.weight_decay : 1.0);
      const auto move = static_cast<float>(lr / correction1);
      float* w = values_.data() + piece.begin;
      const float* gradient = gradients_.data() + piece.begin;
      float* m = first_ + (piece.begin - begin_);
      float* v = second_ + (piece.begin - begin_);
      for (size_t k = 0; k < piece.count; ++k) {
        const float g = gradient[k] * s;
        m[k] = b1 * m[k] + (1 - b1) * g;
        v[k] = b2 * v[k] + (1 - b2) * g * g;
        w[k] = w[k] * keep - move * (m[k] / (std::sqrt(v[k]) * root + eps));
      }
    }
  });
}

void BlockSquares(std::span<const float> values, ThreadPool& pool, std::span<double> blocks) {
  pool.ForRanges(blocks.size(), 1, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const size_t begin = i * kAdamBlock, end = std::min(values.size(), begin + kAdamBlock);
      double sums[8] = {};
      for (size_t k = begin; k < end; ++k) {
        sums[k % 8] += static_cast<double>(values[k]) * static_cast<double>(values[k]);
      }
      for (size_t k = 1; k < 8; ++k) sums[0] += sums[k];
      blocks[i] = sums[0];
    }
  });
}

}  // namespace linnet
