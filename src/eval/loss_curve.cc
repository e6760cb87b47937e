#include "eval/loss_curve.h"

#include <bit>

namespace linnet {
namespace {

constexpr size_t kPerDoubling = 8;

// Positions below 8 have a bucket each; then [2^k, 2^(k+1)) is divided by eight.
size_t BucketOf(size_t n) {
  if (n < kPerDoubling) return n;
  const auto power = static_cast<size_t>(std::bit_width(n)) - 1;
  return (power - 3) * kPerDoubling + (n >> (power - 3));
}

size_t BeginOf(size_t bucket) {
  if (bucket < 2 * kPerDoubling) return bucket;
  const size_t shift = bucket / kPerDoubling - 1;
  return (kPerDoubling + bucket % kPerDoubling) << shift;
}

}  // namespace

void LossCurve::Add(size_t position, double nats) {
  const size_t bucket = BucketOf(position + 1);
  if (bucket >= buckets_.size()) buckets_.resize(bucket + 1);
  buckets_[bucket].nats += nats;
  ++buckets_[bucket].tokens;
}

std::vector<LossCurve::Point> LossCurve::points() const {
  std::vector<Point> out;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    const Bucket& b = buckets_[i];
    if (b.tokens == 0) continue;
    out.push_back({BeginOf(i), BeginOf(i + 1), b.nats / static_cast<double>(b.tokens), b.tokens});
  }
  return out;
}

}  // namespace linnet
