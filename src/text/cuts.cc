#include "text/cuts.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace linnet {
namespace {

constexpr float kNone = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;  // enough for every vector width; fixes the order of sums

// Without a branch, and its end a mask, so that loops of it become vector code.
inline float ExpOrZero(float x) {
  // x = n ln 2 + r, |r| <= ln 2 / 2. Adding 1.5 * 2^23 rounds to a whole number,
  // which stays in the low bits; ln 2 in two parts keeps r exact.
  constexpr float kRound = 12582912.0f;
  const float shifted = x * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  // e^r = 1 + r + r^2 p(r), minimax (Cephes expf).
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  const float y = p * r * r + r + 1.0f;
  const uint32_t bits = std::bit_cast<uint32_t>(y) + (std::bit_cast<uint32_t>(shifted) << 23);
  const uint32_t mask = 0u - static_cast<uint32_t>(x >= -87.0f);  // 0 for NaN too
  return std::bit_cast<float>(bits & mask);
}

// The largest key such that all of it and above weigh at least `target`; 0 if
// all together do not. `above` becomes the weight of those above it. Radix
// selection, 11 bits at a time: linear, with no sort, whatever the values.
template <class KeyOf, class MassOf>
uint32_t SelectKey(std::span<const Candidate> all, const KeyOf& key_of, const MassOf& mass_of,
                   double target, double& above) {
  struct Item {
    uint32_t key;
    float mass;
  };
  thread_local std::vector<Item> items;
  thread_local std::array<double, 2048> sums;
  items.resize(all.size());
  for (size_t i = 0; i < all.size(); ++i) items[i] = {key_of(all[i]), mass_of(all[i])};
  above = 0;
  uint32_t prefix = 0;
  for (const uint32_t shift : {21u, 10u, 0u}) {
    const uint32_t mask = shift == 0 ? 1023 : 2047;
    sums.fill(0);
    for (const Item& item : items) sums[item.key >> shift & mask] += static_cast<double>(item.mass);
    uint32_t chosen = 0, lowest = 0;
    bool found = false;
    for (uint32_t bucket = mask + 1; bucket-- > 0 && !found;) {
      if (sums[bucket] == 0) continue;
      lowest = bucket;
      if (above + sums[bucket] >= target) {
        chosen = bucket;
        found = true;
      } else {
        above += sums[bucket];
      }
    }
    if (!found) {
      if (shift == 21) return 0;
      // The level before saw the target reached; only rounding says otherwise.
      chosen = lowest;
      above -= sums[lowest];
    }
    prefix |= chosen << shift;
    std::erase_if(items, [&](const Item& item) { return (item.key >> shift & mask) != chosen; });
  }
  return prefix;
}

uint32_t WeightKey(const Candidate& c) { return std::bit_cast<uint32_t>(c.weight); }

}  // namespace

float NegativeExp(float x) { return ExpOrZero(x); }

float Largest(std::span<const float> logits) {
  std::array<float, kLanes> lanes;
  lanes.fill(kNone);
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float x = logits[i + lane];
      lanes[lane] = x > lanes[lane] ? x : lanes[lane];
    }
  }
  float largest = kNone;
  for (; i < logits.size(); ++i) largest = logits[i] > largest ? logits[i] : largest;
  return std::max(largest, *std::max_element(lanes.begin(), lanes.end()));
}

int32_t ArgMax(std::span<const float> logits) {
  const float largest = Largest(logits);
  return static_cast<int32_t>(std::find(logits.begin(), logits.end(), largest) - logits.begin());
}

double Weigh(std::span<const float> logits, float largest, float temperature, double floor,
             std::vector<Candidate>& left) {
  thread_local std::vector<float> scaled_buffer, weight_buffer;
  const size_t count = logits.size(), padded = (count + kLanes - 1) / kLanes * kLanes;
  scaled_buffer.resize(padded);
  weight_buffer.resize(padded);
  const float* in = logits.data();
  float* __restrict scaled = scaled_buffer.data();
  float* __restrict weights = weight_buffer.data();
  for (size_t i = 0; i < count; ++i) scaled[i] = (in[i] - largest) / temperature;
  std::fill(scaled + count, scaled + padded, kNone);
  for (size_t i = 0; i < padded; ++i) weights[i] = ExpOrZero(scaled[i]);
  std::array<double, kLanes> sums = {};
  for (size_t i = 0; i < padded; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      sums[lane] += static_cast<double>(weights[i + lane]);
    }
  }
  double sum = 0;
  for (const double x : sums) sum += x;
  // A weight of 0 has no chance; the heaviest, 1, always stays.
  const auto least =
      static_cast<float>(std::clamp(floor * sum, double{std::numeric_limits<float>::min()}, 1.0));
  uint32_t kept = 0;
  for (size_t i = 0; i < count; ++i) kept += weights[i] >= least ? 1 : 0;
  left.resize(kept + size_t{1});
  kept = 0;
  for (size_t i = 0; i < count; ++i) {  // no branch: which stay is not predictable
    left[kept] = {static_cast<int32_t>(i), weights[i], scaled[i]};
    kept += weights[i] >= least ? 1 : 0;
  }
  left.pop_back();
  return sum;
}

void CutMass(double mass, std::vector<Candidate>& left) {
  double above = 0;
  const uint32_t key = SelectKey(
      left, WeightKey, [](const Candidate& c) { return c.weight; }, mass, above);
  std::erase_if(left, [&](const Candidate& c) { return WeightKey(c) < key; });
}

void CutCount(size_t count, std::vector<Candidate>& left) {
  if (left.size() <= count) return;
  double above = 0;
  const uint32_t key = SelectKey(
      left, WeightKey, [](const Candidate&) { return 1.0f; }, static_cast<double>(count), above);
  size_t ties = count - static_cast<size_t>(above);
  std::erase_if(left, [&](const Candidate& c) {
    if (WeightKey(c) != key) return WeightKey(c) < key;
    return ties == 0 || ties-- == 0;
  });
}

void CutShare(float floor, std::vector<Candidate>& left) {
  float largest = 0;
  for (const Candidate& c : left) largest = std::max(largest, c.weight);
  std::erase_if(left, [&](const Candidate& c) { return c.weight < floor * largest; });
}

void CutTypical(double mass, std::vector<Candidate>& left) {
  // With p = e^x / Z: -ln p - H = (ln Z - x) - (ln Z - E x) = E x - x.
  double sum = 0, mean = 0;
  for (const Candidate& c : left) {
    sum += static_cast<double>(c.weight);
    mean += static_cast<double>(c.weight) * static_cast<double>(c.logit);
  }
  mean /= sum;
  const auto nearness = [&](const Candidate& c) {
    const auto distance = static_cast<float>(std::abs(mean - static_cast<double>(c.logit)));
    return ~std::bit_cast<uint32_t>(distance);  // the nearest has the largest key
  };
  double above = 0;
  const uint32_t key = SelectKey(
      left, nearness, [](const Candidate& c) { return c.weight; }, mass * sum, above);
  std::erase_if(left, [&](const Candidate& c) { return nearness(c) < key; });
}

void Distribution(const SamplerOptions& options, std::span<const float> logits, float largest,
                  std::vector<Candidate>& left) {
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
    for (Candidate& c : left) c.weight = ExpOrZero(c.logit / options.temperature);
  }
}

}  // namespace linnet
