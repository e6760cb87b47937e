#include "text/cuts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "kernels/odds.h"
#include "kernels/rows.h"

namespace linnet {
namespace {

// Shares of a whole by key, the largest keys first.
class Histogram {
 public:
  static constexpr uint32_t kBits = 8;

  void Clear() { sums_.fill(0); }
  // Four sums of a key take turns, so that none waits for the one before it. `i` counts the
  // masses.
  void Add(size_t i, uint32_t bucket, float mass) {
    sums_[i % 4 << kBits | bucket] += static_cast<double>(mass);
  }
  double Sum(uint32_t bucket) const {
    double sum = 0;
    for (size_t copy = 0; copy < 4; ++copy) sum += sums_[copy << kBits | bucket];
    return sum;
  }

 private:
  std::array<double, 8 << kBits> sums_;
};

struct KeyRange {
  uint32_t low, high;

  // So many low bits that keys differ by less than a bucket more.
  uint32_t shift() const {
    const auto bits = static_cast<uint32_t>(std::bit_width(high - low));
    return bits > Histogram::kBits ? bits - Histogram::kBits : 0;
  }
};

// The bucket at which `target` is reached, from above; `above` grows by what lies higher. If none
// is: the lowest with anything in it and false.
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

// Behind a call, since the address of what is a thread's own is looked up at every use.
struct Selection {
  Histogram sums;
  std::vector<Item> items;

  [[gnu::noinline]] static Selection& OfThisThread() {
    thread_local Selection selection;
    return selection;
  }
};

// The largest key such that all of it and above weigh at least `target`; 0 if
// all together do not; all keys lie in the range. `above` becomes the weight of those above it.
// Radix selection, 8 bits at a time: linear, with no sort, whatever the values.
template <class KeyOf, class MassOf>
uint32_t SelectKey(size_t size, KeyRange range, const KeyOf key_of, const MassOf mass_of,
                   double target, double& above) {
  auto& [sums, items] = Selection::OfThisThread();
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
    // The level before saw the target reached; only rounding says otherwise.
    Reach(sums, (range.high - low) >> shift, target, above, bucket);
  }
  return range.low + bucket;
}

uint32_t KeyOf(float weight) { return std::bit_cast<uint32_t>(weight); }

KeyRange WeightKeys(const Candidates& c) {
  const auto [least, most] = ExtremesOf(c.weight.data(), c.size);
  return {KeyOf(least), KeyOf(most)};
}

// Of those whose index `stays`.
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

void CutBelow(float least, Candidates& left) {
  left.size = KeepAtLeast(least, left.size, left.id.data(), left.weight.data());
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

double Weigh(std::span<const float> logits, float largest, float temperature, double floor,
             Candidates& left) {
  const size_t count = logits.size();
  if (left.id.size() < count) {
    left.id.resize(count);
    left.weight.resize(count);
  }
  left.logits = logits.data();
  left.largest = largest;
  left.temperature = temperature;
  BelowTopRow(logits.data(), count, largest, temperature, left.weight.data());
  NegativeExpRow(left.weight.data(), count, left.weight.data());
  const double sum = SumInDouble(left.weight.data(), count);
  // A weight of 0 has no chance; the heaviest, 1, always stays.
  const double least = std::clamp(floor * sum, double{std::numeric_limits<float>::min()}, 1.0);
  left.size = FindAtLeast(static_cast<float>(least), count, left.id.data(), left.weight.data());
  return sum;
}

void CutMass(double mass, Candidates& left) {
  double above = 0;
  const uint32_t key = SelectKey(
      left.size, WeightKeys(left), [w = left.weight.data()](size_t i) { return KeyOf(w[i]); },
      [w = left.weight.data()](size_t i) { return w[i]; }, mass, above);
  CutBelow(std::bit_cast<float>(key), left);
}

void CutCount(size_t count, Candidates& left) {
  if (left.size <= count) return;
  double above = 0;
  const uint32_t key = SelectKey(
      left.size, WeightKeys(left), [w = left.weight.data()](size_t i) { return KeyOf(w[i]); },
      [](size_t) { return 1.0f; }, static_cast<double>(count), above);
  size_t ties = count - static_cast<size_t>(above);
  CutBelow(std::bit_cast<float>(key), left);
  Keep([&](size_t i) { return KeyOf(left.weight[i]) != key || (ties > 0 && ties-- > 0); }, left);
}

void CutShare(float floor, Candidates& left) {
  CutBelow(floor * MaxRow(left.weight.data(), left.size), left);
}

void CutTypical(double mass, Candidates& left) {
  // With p = e^x / Z: -ln p - H = (ln Z - x) - (ln Z - E x) = E x - x.
  double sum = 0, mean = 0;
  for (size_t i = 0; i < left.size; ++i) {
    sum += static_cast<double>(left.weight[i]);
    mean += static_cast<double>(left.weight[i]) * static_cast<double>(left.logit(i));
  }
  mean /= sum;
  const auto nearness = [mean, &left](size_t i) {
    const auto distance = static_cast<float>(std::abs(mean - static_cast<double>(left.logit(i))));
    return ~std::bit_cast<uint32_t>(distance);  // the nearest has the largest key
  };
  double above = 0;
  const uint32_t key = SelectKey(
      left.size, {0, ~0u}, nearness, [w = left.weight.data()](size_t i) { return w[i]; },
      mass * sum, above);
  Keep([&](size_t i) { return nearness(i) >= key; }, left);
}

void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  Candidates& left) {
  const bool temperature_first = options.order == SamplingOrder::kOpenAI;
  const bool top_p = options.top_p > 0 && options.top_p < 1;
  // Whatever sums to 1 - p beyond the last that top-p keeps is spread over fewer
  // than V tokens, none of them likelier: the last is above (1 - p) / V.
  const double floor =
      top_p ? (1 - static_cast<double>(options.top_p)) * 0.999 / static_cast<double>(logits.size())
            : 0;
  const double sum =
      Weigh(logits, largest, temperature_first ? options.temperature : 1.0f, floor, left);
  if (top_p) CutMass(static_cast<double>(options.top_p) * sum, left);
  if (options.top_k > 0) CutCount(static_cast<size_t>(options.top_k), left);
  if (options.min_p > 0) CutShare(options.min_p, left);
  if (options.typical > 0 && options.typical < 1) {
    CutTypical(static_cast<double>(options.typical), left);
  }
  if (!temperature_first && options.temperature != 1.0f) {
    for (size_t i = 0; i < left.size; ++i) left.weight[i] = left.logit(i);
    BelowTopRow(left.weight.data(), left.size, 0, options.temperature, left.weight.data());
    NegativeExpRow(left.weight.data(), left.size, left.weight.data());
  }
}

Drawn DrawAt(double share, const Candidates& from) {
  constexpr size_t kBlock = 256;  // summed side by side; only one is gone through
  thread_local std::vector<double> sums;
  sums.clear();
  for (size_t at = 0; at < from.size; at += kBlock) {
    sums.push_back(SumInDouble(from.weight.data() + at, std::min(kBlock, from.size - at)));
  }
  const double sum = std::accumulate(sums.begin(), sums.end(), 0.0);
  double rest = share * sum;
  for (size_t block = 0; block < sums.size(); ++block) {
    if (rest >= sums[block]) {
      rest -= sums[block];
      continue;
    }
    const size_t end = std::min((block + 1) * kBlock, from.size);
    for (size_t i = block * kBlock; i < end; ++i) {
      rest -= static_cast<double>(from.weight[i]);
      if (rest < 0) return {i, sum};
    }
  }
  return {from.size - 1, sum};  // where rounding leads past the end
}

}  // namespace linnet
