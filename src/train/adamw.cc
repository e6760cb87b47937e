#include "train/adamw.h"

#include <algorithm>
#include <cmath>

#include "kernels/adamw.h"

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
  AdamWStep all{.beta1 = options_.beta1, .beta2 = options_.beta2, .eps = options_.eps};
  all.correction1 = 1 - std::pow(options_.beta1, t);
  all.correction2 = 1 - std::pow(options_.beta2, t);
  all.grad_scale = scale;
  pool.ForRanges(pieces_.size(), 1, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const Piece& piece = pieces_[i];
      AdamWStep own = all;
      own.lr = rate * piece.group.rate;
      own.weight_decay = piece.group.decay ? options_.weight_decay : 0;
      const size_t at = piece.begin - begin_;
      AdamWRow(values_.data() + piece.begin, gradients_.data() + piece.begin, first_ + at,
               second_ + at, piece.count, own);
    }
  });
}

void BlockSquares(std::span<const float> values, ThreadPool& pool, std::span<double> blocks) {
  pool.ForRanges(blocks.size(), 1, [&](size_t first, size_t last) {
    for (size_t i = first; i < last; ++i) {
      const size_t begin = i * kAdamBlock, end = std::min(values.size(), begin + kAdamBlock);
      blocks[i] = SumOfSquares(values.data() + begin, end - begin);
    }
  });
}

}  // namespace linnet
