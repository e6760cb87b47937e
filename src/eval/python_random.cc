#include "eval/python_random.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <unordered_set>

namespace linnet {

PythonRandom::PythonRandom(uint64_t seed) {
  // init_genrand(19650218), then init_by_array of the seed's 32-bit digits.
  words_[0] = 19650218;
  for (uint32_t i = 1; i < kWords; ++i) {
    words_[i] = 1812433253u * (words_[i - 1] ^ (words_[i - 1] >> 30)) + i;
  }
  std::vector<uint32_t> key = {static_cast<uint32_t>(seed)};
  if (seed >> 32 != 0) key.push_back(static_cast<uint32_t>(seed >> 32));
  size_t i = 1, j = 0;
  const auto step = [&] {
    if (++i >= kWords) {
      words_[0] = words_[kWords - 1];
      i = 1;
    }
  };
  for (size_t k = std::max(kWords, key.size()); k > 0; --k) {
    words_[i] = (words_[i] ^ ((words_[i - 1] ^ (words_[i - 1] >> 30)) * 1664525u)) + key[j] +
                static_cast<uint32_t>(j);
    step();
    if (++j >= key.size()) j = 0;
  }
  for (size_t k = kWords - 1; k > 0; --k) {
    words_[i] = (words_[i] ^ ((words_[i - 1] ^ (words_[i - 1] >> 30)) * 1566083941u)) -
                static_cast<uint32_t>(i);
    step();
  }
  words_[0] = 0x80000000u;
}

void PythonRandom::Refill() {
  constexpr size_t kShift = 397;
  for (size_t k = 0; k < kWords; ++k) {
    const uint32_t y = (words_[k] & 0x80000000u) | (words_[(k + 1) % kWords] & 0x7FFFFFFFu);
    words_[k] = words_[(k + kShift) % kWords] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908B0DFu : 0u);
  }
  at_ = 0;
}

uint32_t PythonRandom::Next() {
  if (at_ == kWords) Refill();
  uint32_t y = words_[at_++];
  y ^= y >> 11;
  y ^= (y << 7) & 0x9D2C5680u;
  y ^= (y << 15) & 0xEFC60000u;
  return y ^ (y >> 18);
}

double PythonRandom::Uniform() {
  const uint32_t high = Next() >> 5, low = Next() >> 6;
  return (static_cast<double>(high) * 67108864.0 + static_cast<double>(low)) / 9007199254740992.0;
}

size_t PythonRandom::Below(size_t n) {
  const auto bits = static_cast<unsigned>(std::bit_width(n));
  size_t value = n;
  while (value >= n) value = Next() >> (32 - bits);  // rows are fewer than 2^32
  return value;
}

std::vector<size_t> PythonRandom::Sample(size_t n, size_t k) {
  std::vector<size_t> out;
  // Where Python thinks that a list of all is smaller than a set of those chosen.
  double small = 21;
  if (k > 5) small += std::pow(4, std::ceil(std::log(static_cast<double>(k) * 3) / std::log(4.0)));
  if (static_cast<double>(n) <= small) {
    std::vector<size_t> pool(n);
    std::iota(pool.begin(), pool.end(), size_t{0});
    for (size_t i = 0; i < k; ++i) {
      const size_t j = Below(n - i);
      out.push_back(pool[j]);
      pool[j] = pool[n - i - 1];
    }
    return out;
  }
  std::unordered_set<size_t> chosen;
  while (out.size() < k) {
    const size_t j = Below(n);
    if (chosen.insert(j).second) out.push_back(j);
  }
  return out;
}

}  // namespace linnet
