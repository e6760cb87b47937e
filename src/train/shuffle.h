// Shuffle: a random order, the same on every machine.
#ifndef LINNET_TRAIN_SHUFFLE_H_
#define LINNET_TRAIN_SHUFFLE_H_

#include <cstdint>
#include <span>
#include <utility>

namespace linnet {

// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class SplitMix {
 public:
  explicit SplitMix(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  // A number below `bound`; its bias is less than bound / 2^64.
  uint64_t Below(uint64_t bound) {
    return static_cast<uint64_t>((static_cast<unsigned __int128>(Next()) * bound) >> 64);
  }

 private:
  uint64_t state_;
};

// Combines two numbers to a seed.
inline uint64_t MixSeeds(uint64_t a, uint64_t b) { return SplitMix(SplitMix(a).Next() ^ b).Next(); }

// The Fisher-Yates shuffle.
template <class T>
void Shuffle(std::span<T> items, uint64_t seed) {
  SplitMix random(seed);
  for (size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.Below(i)]);
}

}  // namespace linnet

#endif  // LINNET_TRAIN_SHUFFLE_H_
