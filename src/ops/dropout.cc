#include "ops/dropout.h"

#include <algorithm>

namespace linnet {
namespace {

// SplitMix64's finalizer (Steele, Lea, Flood 2014): every bit of the result depends on every bit of
// x.
constexpr uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// y[t][c] = x[t][c] * factor, or 0, as the random bits of row t say; four values per number.
template <class F>
void ForKept(const Pass& p, size_t rows, size_t cols, uint64_t seed, const F& visit) {
  const auto limit = static_cast<uint32_t>(p.dropout * 65536.0f);
  const auto run = [&](const TrainingSequence& s) {
    const uint64_t key = Mix(seed ^ Mix(s.index));
    p.ForRows(s.len, s.len * cols, [&](size_t begin, size_t end) {
      for (size_t t = begin; t < end; ++t) {
        uint64_t next = key + (s.place + t) * ((cols + 3) / 4);
        for (size_t c = 0; c < cols; c += 4) {
          uint64_t number = Mix(next++);
          for (size_t i = c; i < std::min(c + 4, cols); ++i, number >>= 16) {
            visit(s.begin + t, i, (number & 0xffff) >= limit);
          }
        }
      }
    });
  };
  if (p.sequences.empty()) run({0, rows, 0});
  for (const TrainingSequence& s : p.sequences) run(s);
}

}  // namespace

Var Dropout(Pass& p, Var x, size_t branch) {
  if (p.dropout <= 0) return x;
  const uint64_t seed = Mix(p.dropout_seed + Mix(2 * p.layer + branch));
  const float factor = 1 / (1 - p.dropout);
  const Var y = p.New(x.rows(), x.cols());
  ForKept(p, x.rows(), x.cols(), seed, [&](size_t t, size_t c, bool kept) {
    y.v.Row(t)[c] = kept ? x.v.Row(t)[c] * factor : 0;
  });
  p.OnBackward([&p, x, y, seed, factor] {
    if (!x.tracked()) return;
    for (const Var& var : {x, y}) var.InitGradient();
    ForKept(p, x.rows(), x.cols(), seed, [&](size_t t, size_t c, bool kept) {
      if (kept) x.g.Row(t)[c] += y.g.Row(t)[c] * factor;
    });
  });
  return y;
}

}  // namespace linnet
