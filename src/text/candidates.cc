#include "text/candidates.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/rows.h"
#include "kernels/sampling.h"

namespace linnet {
namespace {

// Sums of masses by key, in buckets, for a search from the largest key down.
class Histogram {
 public:
  static constexpr uint32_t kBits = 8;

  void Clear() { sums_.fill(0); }
  // Each key has four sums, used in turn, so that an addition does not wait for the previous one.
  // `i` is the index of the mass.
  void Add(size_t i, uint32_t bucket, float mass) {
    sums_[i % 4 << kBits | bucket] += static_cast<double>(mass);
  }
  double Sum(uint32_t bucket) const {
    double sum = 0;
    for (size_t copy = 0; copy < 4; ++copy) sum += sums_[copy << kBits | bucket];
    return sum;
  }

 private:
  std::array<double, 4 << kBits> sums_;
};

struct KeyRange {
  uint32_t low, high;

  // The number of low bits to drop so that all keys of the range fit into the buckets.
  uint32_t shift() const {
    const auto bits = static_cast<uint32_t>(std::bit_width(high - low));
    return bits > Histogram::kBits ? bits - Histogram::kBits : 0;
  }
};

// The bucket at which the sum from the top reaches `target`. The sums of higher buckets are added
// to `above`. If the target is not reached: the lowest non-empty bucket, and false.
bool Reach(const Histogram& sums, uint32_t highest, double target, double& above,
           uint32_t& bucket) {
  double higher = above;
  for (uint32_t b = highest + 1; b-- > 0;) {
    const double sum = sums.Sum(b);
    if (sum == 0) continue;
    bucket = b;
    above = higher;
    higher += sum;
    if (higher >= target) return true;
  }
  return false;
}

struct Item {
  uint32_t key;
  float mass;
};

// Accessed by a call, because the address of a thread-local object is computed at every use.
struct Selection {
  Histogram sums;
  std::vector<Item> items;
  std::vector<float> between;

  [[gnu::noinline]] static Selection& OfThisThread() {
    thread_local Selection selection;
    return selection;
  }
};

// The largest key for which the masses of all keys at or above it sum to at least `target`; 0 if
// the total is less. All keys must be in the range. `above` becomes the mass above the result.
// Radix selection, 8 bits at a time: linear time for any values, without sorting.
template <class KeyOf, class MassOf>
uint32_t SelectKey(size_t size, KeyRange range, const KeyOf key_of, const MassOf mass_of,
                   double target, double& above) {
  Selection& own = Selection::OfThisThread();
  Histogram& sums = own.sums;
  std::vector<Item>& items = own.items;
  above = 0;
  uint32_t shift = range.shift(), bucket = 0;
  sums.Clear();
  for (size_t i = 0; i < size; ++i) sums.Add(i, (key_of(i) - range.low) >> shift, mass_of(i));
  if (!Reach(sums, (range.high - range.low) >> shift, target, above, bucket)) return 0;
  items.clear();
  while (shift > 0) {
    const uint32_t low = range.low + (bucket << shift), width = 1u << shift;
    if (items.empty()) {
      for (size_t i = 0; i < size; ++i) {
        if (key_of(i) - low < width) items.push_back({key_of(i), mass_of(i)});
      }
    } else {
      std::erase_if(items, [&](const Item& item) { return item.key - low >= width; });
    }
    range = {low, std::min(range.high, low + (width - 1))};
    shift = range.shift();
    sums.Clear();
    for (size_t i = 0; i < items.size(); ++i) {
      sums.Add(i, (items[i].key - low) >> shift, items[i].mass);
    }
    // The previous level reached the target, so this one does too, except for rounding.
    Reach(sums, (range.high - low) >> shift, target, above, bucket);
  }
  return range.low + bucket;
}

uint32_t KeyOf(float weight) { return std::bit_cast<uint32_t>(weight); }

KeyRange WeightKeys(const float* weight, size_t size) {
  const auto [least, most] = MinMaxOf(weight, size);
  return {KeyOf(least), KeyOf(most)};
}

// The largest weight for which all weights at or above it sum to at least `mass`; 0 if the total is
// less.
float SelectWeight(const float* weight, size_t size, double mass) {
  double above = 0;
  return std::bit_cast<float>(SelectKey(
      size, WeightKeys(weight, size), [weight](size_t i) { return KeyOf(weight[i]); },
      [weight](size_t i) { return weight[i]; }, mass, above));
}

// In a masked list, sixteen of every 256 weights are sampled: whole cache lines.
constexpr size_t kSampleRun = 16, kStride = 256;

// Whether at least an eighth of the tokens are above `least`, estimated from a sample. It is then
// faster to keep the list masked. With few tokens there is little to gain.
bool ManyAreIn(const Candidates& left) {
  if (left.size < 16 * kStride) return false;
  uint32_t in = 0, seen = 0;
  for (size_t at = 0; at + kSampleRun <= left.size; at += kStride, seen += kSampleRun) {
    for (size_t i = 0; i < kSampleRun; ++i) in += left.weight[at + i] >= left.least ? 1u : 0u;
  }
  return in >= seen / 8;
}

struct Bracket {
  float low, high;  // from, to below
};

// Estimates from a sample between which weights the sum of the smaller ones reaches `mass`, with a
// margin of three standard deviations. The deviation of a sum of weights up to w is at most sqrt(w
// sum).
Bracket Guess(const Candidates& left, double mass) {
  Histogram& sums = Selection::OfThisThread().sums;
  sums.Clear();
  const KeyRange range = {KeyOf(left.least), KeyOf(1.0f)};
  const uint32_t shift = range.shift();
  double under = 0;
  size_t seen = 0;
  for (size_t at = 0; at + kSampleRun <= left.size; at += kStride, seen += kSampleRun) {
    for (size_t i = 0; i < kSampleRun; ++i) {
      const float weight = left.weight[at + i];
      if (weight < left.least) {
        under += static_cast<double>(weight);
      } else {
        sums.Add(i, (KeyOf(weight) - range.low) >> shift, weight);
      }
    }
  }
  mass *= static_cast<double>(seen) / static_cast<double>(left.size);
  Bracket bracket = {left.least, 2};
  for (uint32_t bucket = 0; bucket <= (range.high - range.low) >> shift; ++bucket) {
    under += sums.Sum(bucket);
    const uint32_t next = range.low + ((bucket + 1) << shift);
    const float end = next > range.high ? 2.0f : std::bit_cast<float>(next);
    const double deviations = 3 * std::sqrt(static_cast<double>(end) * under);
    if (under + deviations <= mass) bracket.low = end;
    if (under - deviations >= mass) {
      bracket.high = end;
      break;
    }
  }
  return bracket;
}

// SelectWeight for a masked list that reads each weight once; 0 if the sampled bracket is wrong.
float SelectNear(const Bracket& bracket, double mass, const Candidates& left) {
  std::vector<float>& between = Selection::OfThisThread().between;
  if (between.size() < left.size) between.resize(left.size);
  const SumAbove split =
      SumAboveRow(left.weight.data(), left.size, bracket.low, bracket.high, between.data());
  if (split.above >= mass || split.between == 0) return 0;
  return SelectWeight(between.data(), split.between, mass - split.above);
}

// Keeps the entries whose index satisfies `stays`.
template <class Stays>
void Keep(const Stays& stays, Candidates& left) {
  size_t kept = 0;
  for (size_t i = 0; i < left.size; ++i) {
    const bool stay = stays(i);
    left.id[kept] = left.id[i];
    left.weight[kept] = left.weight[i];
    kept += stay ? 1 : 0;
  }
  left.size = kept;
}

void FilterBelow(float least, Candidates& left) {
  if (left.masked) {
    left.least = std::max(left.least, least);
    return;
  }
  left.size = KeepAtLeast(least, left.size, left.id.data(), left.weight.data());
}

bool IsTypical(const SamplerOptions& options) { return options.typical > 0 && options.typical < 1; }

// Whether the filters use a different temperature from the final distribution.
bool AppliesTemperatureLast(const SamplerOptions& options) {
  return options.order != SamplingOrder::kOpenAI && options.temperature != 1.0f;
}

}  // namespace

float Largest(std::span<const float> logits) {
  if (logits.empty()) return -std::numeric_limits<float>::infinity();
  return MaxRow(logits.data(), logits.size());
}

int32_t ArgMax(std::span<const float> logits) {
  const float largest = Largest(logits);
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
}

void Weigh(std::span<const float> logits, float largest, float temperature, double floor,
           Candidates& left) {
  const size_t count = logits.size();
  if (left.weight.size() < count) left.weight.resize(count);
  left.logits = logits.data();
  left.largest = largest;
  left.temperature = temperature;
  left.sum = WeighRow(logits.data(), count, largest, temperature, left.weight.data());
  // A weight of 0 cannot be chosen; the largest, 1, always stays.
  left.least = static_cast<float>(
      std::clamp(floor * left.sum, double{std::numeric_limits<float>::min()}, 1.0));
  left.size = count;
  left.masked = true;
}

void Compact(Candidates& left) {
  if (!left.masked) return;
  if (left.id.size() < left.size) left.id.resize(left.size);
  left.size = FindAtLeast(left.least, left.size, left.id.data(), left.weight.data());
  left.masked = false;
}

void FilterTopP(double mass, Candidates& left) {
  if (left.masked && ManyAreIn(left)) {
    const float least = SelectNear(Guess(left, left.sum - mass), mass, left);
    if (least > 0) return FilterBelow(least, left);
  }
  Compact(left);
  FilterBelow(SelectWeight(left.weight.data(), left.size, mass), left);
}

void FilterTopK(size_t count, Candidates& left) {
  Compact(left);
  if (left.size <= count) return;
  double above = 0;
  const uint32_t key = SelectKey(
      left.size, WeightKeys(left.weight.data(), left.size),
      [w = left.weight.data()](size_t i) { return KeyOf(w[i]); }, [](size_t) { return 1.0f; },
      static_cast<double>(count), above);
  size_t ties = count - static_cast<size_t>(above);
  FilterBelow(std::bit_cast<float>(key), left);
  Keep([&](size_t i) { return KeyOf(left.weight[i]) != key || (ties > 0 && ties-- > 0); }, left);
}

void FilterMinP(float floor, Candidates& left) {
  FilterBelow(floor * MaxRow(left.weight.data(), left.size), left);
}

void FilterTypical(double mass, Candidates& left) {
  Compact(left);
  // The distance of each logit below the largest, at the temperature of the filters.
  const auto logit = [&left](size_t i) {
    return (left.logits[static_cast<size_t>(left.id[i])] - left.largest) / left.temperature;
  };
  // With p = e^x / Z: -ln p - H = (ln Z - x) - (ln Z - E x) = E x - x.
  double sum = 0, mean = 0;
  for (size_t i = 0; i < left.size; ++i) {
    sum += static_cast<double>(left.weight[i]);
    mean += static_cast<double>(left.weight[i]) * static_cast<double>(logit(i));
  }
  mean /= sum;
  const auto nearness = [mean, &logit](size_t i) {
    const auto distance = static_cast<float>(std::abs(mean - static_cast<double>(logit(i))));
    return ~std::bit_cast<uint32_t>(distance);  // the nearest gets the largest key
  };
  double above = 0;
  const uint32_t key = SelectKey(
      left.size, {0, ~0u}, nearness, [w = left.weight.data()](size_t i) { return w[i]; },
      mass * sum, above);
  Keep([&](size_t i) { return nearness(i) >= key; }, left);
}

bool NeedsLogits(const SamplerOptions& options) {
  return IsTypical(options) || AppliesTemperatureLast(options);
}

void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  Candidates& left) {
  const bool top_p = options.top_p > 0 && options.top_p < 1;
  // The last token that top-p keeps and all less likely ones sum to more than 1 - p. They are at
  // most V tokens and none is likelier than it, so its probability is above (1 - p) / V.
  const double floor =
      top_p ? (1 - static_cast<double>(options.top_p)) * 0.999 / static_cast<double>(logits.size())
            : 0;
  const bool later = AppliesTemperatureLast(options);
  Weigh(logits, largest, later ? 1.0f : options.temperature, floor, left);
  if (top_p) FilterTopP(static_cast<double>(options.top_p) * left.sum, left);
  if (options.min_p > 0) FilterMinP(options.min_p, left);
  if (options.top_k > 0) FilterTopK(static_cast<size_t>(options.top_k), left);
  if (IsTypical(options)) FilterTypical(static_cast<double>(options.typical), left);
  if (later) {
    Compact(left);
    for (size_t i = 0; i < left.size; ++i) {
      left.weight[i] = left.logits[static_cast<size_t>(left.id[i])];
    }
    WeighRow(left.weight.data(), left.size, largest, options.temperature, left.weight.data());
  }
}

Drawn DrawAt(double share, const Candidates& from) {
  // Block sums are computed in vectors; only one block is searched.
  thread_local std::vector<double> sums;
  sums.resize((from.size + kSumBlock - 1) / kSumBlock);
  const float least = from.masked ? from.least : 0;
  SumBlocks(from.weight.data(), from.size, least, sums.data());
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  double rest = share * sum;
  for (size_t block = 0; block < sums.size(); ++block) {
    if (rest >= sums[block]) {
      rest -= sums[block];
      continue;
    }
    const size_t end = std::min((block + 1) * kSumBlock, from.size);
    for (size_t i = block * kSumBlock; i < end; ++i) {
      if (from.weight[i] < least) continue;
      rest -= static_cast<double>(from.weight[i]);
      if (rest < 0) return {i, sum};
    }
  }
  size_t last = from.size - 1;  // if rounding goes past the end
  while (last > 0 && from.weight[last] < least) --last;
  return {last, sum};
}

}  // namespace linnet
