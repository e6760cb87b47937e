// Values of new parameters, from a counter-based generator: value i is a hash of a key and i.
#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/fnv.h"
#include "models/init.h"
#include "models/init_orthogonal.h"

namespace linnet {
namespace {

constexpr size_t kBlock = size_t{1} << 20;  // values passed at a time
constexpr size_t kGrain = size_t{1} << 14;  // values computed by one thread at a time

// splitmix64's finalizer (Steele, Lea and Flood 2014).
uint64_t Mix(uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

class Counter {
 public:
  Counter(uint64_t seed, std::string_view name) {
    Fnv hash;
    hash.Add(name);
    key_ = Mix(seed + 0x9e3779b97f4a7c15u) ^ hash.value();
  }
  uint64_t operator()(uint64_t i) const { return Mix(key_ + (i + 1) * 0x9e3779b97f4a7c15u); }

 private:
  uint64_t key_;
};

// In [-1, 1), 24 bits.
float Signed(uint32_t bits) {
  return static_cast<float>(static_cast<int32_t>(bits) >> 8) * 0x1p-23f;
}

void Uniform(const Counter& random, size_t begin, size_t end, float scale, float* out) {
  for (size_t i = begin; i < end; i += 2) {
    const uint64_t bits = random(i / 2);
    *out++ = scale * Signed(static_cast<uint32_t>(bits));
    if (i + 1 < end) *out++ = scale * Signed(static_cast<uint32_t>(bits >> 32));
  }
}

// Four 16-bit values per hash: fast, low resolution. `begin` must be a multiple of 4.
void Coarse(const Counter& random, size_t begin, size_t end, float center, float spread,
            float* out) {
  const float step = spread * 0x1p-15f;
  for (size_t i = begin; i < end; i += 4) {
    const uint64_t bits = random(i / 4);
    for (size_t j = 0; j < std::min<size_t>(4, end - i); ++j) {
      const auto value = static_cast<int16_t>(bits >> (16 * j));
      *out++ = center + step * static_cast<float>(value);
    }
  }
}

// Box-Muller pairs: values [begin, end) of the sequence; `begin` must be even.
void Normal(const Counter& random, size_t begin, size_t end, float* out) {
  constexpr float kTurn = 6.283185307179586f;
  for (size_t i = begin; i < end; i += 2) {
    const uint64_t bits = random(i / 2);
    const float u = static_cast<float>((bits >> 40) + 1) * 0x1p-24f;  // (0, 1]
    const float angle = kTurn * static_cast<float>((bits >> 8) & 0xffffffu) * 0x1p-24f;
    const float radius = std::sqrt(-2 * std::log(u));
    *out++ = radius * std::cos(angle);
    if (i + 1 < end) *out++ = radius * std::sin(angle);
  }
}

// All fillings except the orthogonal one: each value depends only on its index.
void FillRange(const ParameterSpec& p, Filling filling, const Counter& random, size_t begin,
               size_t end, float* out) {
  if (filling == Filling::kRandom) {
    return Coarse(random, begin, end, static_cast<float>(p.center), static_cast<float>(p.spread),
                  out);
  }
  switch (p.start) {
    case StartKind::kConstant:
      std::fill_n(out, end - begin, static_cast<float>(p.scale));
      break;
    case StartKind::kCurve:
      for (size_t i = begin; i < end; ++i) *out++ = static_cast<float>(p.curve(i));
      break;
    default:
      Uniform(random, begin, end, static_cast<float>(p.scale), out);
      break;
  }
}

// [rows, cols] with orthonormal rows, or columns if there are fewer of them, times gain.
void GiveOrthogonal(const ParameterSpec& p, const Counter& random, ThreadPool& pool,
                    const std::function<void(std::span<const float>)>& take) {
  const size_t rows = p.shape[0], cols = p.shape[1];
  const bool tall = rows > cols;
  RowBlock block(tall ? cols : rows, tall ? rows : cols);
  const size_t length = block.length(), even = (length + 1) / 2 * 2;
  pool.For(block.count(), [&](size_t i) {
    // Each row starts at a new Box-Muller pair.
    Normal(random, i * even, i * even + length, block.Row(i));
  });
  OrthonormalizeRows(block, pool);
  const auto gain = static_cast<float>(p.scale);
  std::vector<float> part;
  const size_t step = std::max<size_t>(1, kBlock / cols / 16 * 16);
  for (size_t begin = 0; begin < rows; begin += step) {
    const size_t count = std::min(step, rows - begin);
    part.resize(count * cols);
    pool.ForRanges(count, 16, [&](size_t from, size_t to) {
      // In tiles of 16, so that a transpose reads whole cache lines.
      for (size_t r = from; r < to; r += 16) {
        for (size_t c = 0; c < cols; c += 16) {
          for (size_t y = r; y < std::min(r + 16, to); ++y) {
            for (size_t x = c; x < std::min(c + 16, cols); ++x) {
              part[y * cols + x] =
                  gain * (tall ? block.Row(x)[begin + y] : block.Row(begin + y)[x]);
            }
          }
        }
      }
    });
    take(part);
  }
}

}  // namespace

void ForValues(const ParameterSpec& p, Filling filling, uint64_t seed, ThreadPool& pool,
               const std::function<void(std::span<const float>)>& take) {
  const Counter random(seed, p.name);
  if (filling == Filling::kReference && p.start == StartKind::kOrthogonal) {
    return GiveOrthogonal(p, random, pool, take);
  }
  std::vector<float> values;
  const size_t n = p.elements();
  for (size_t begin = 0; begin < n; begin += kBlock) {
    const size_t count = std::min(kBlock, n - begin);
    values.resize(count);
    pool.For((count + kGrain - 1) / kGrain, [&](size_t grain) {
      const size_t from = grain * kGrain, to = std::min(count, from + kGrain);
      FillRange(p, filling, random, begin + from, begin + to, values.data() + from);
    });
    take(values);
  }
}

void FillParameter(const ParameterSpec& p, Filling filling, uint64_t seed, ThreadPool& pool,
                   float* out) {
  ForValues(p, filling, seed, pool, [&](std::span<const float> values) {
    out = std::copy(values.begin(), values.end(), out);
  });
}

}  // namespace linnet
