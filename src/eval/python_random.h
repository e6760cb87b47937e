// PythonRandom: the random numbers of Python's `random`, so that examples in prompts and bootstrap
// errors are those of lm-evaluation-harness.
#ifndef LINNET_EVAL_PYTHON_RANDOM_H_
#define LINNET_EVAL_PYTHON_RANDOM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet {

// random.Random(seed) of CPython 3.2 and later: MT19937, filled by init_by_array (Matsumoto and
// Nishimura, 2002). Not thread-safe.
class PythonRandom {
 public:
  explicit PythonRandom(uint64_t seed);

  // random(): 53 bits, in [0, 1).
  double Uniform();
  // choices(range(n), k = 1): one of 0 to n - 1.
  size_t Choose(size_t n) { return static_cast<size_t>(Uniform() * static_cast<double>(n)); }
  // sample(range(n), k): k different numbers; needs k <= n.
  std::vector<size_t> Sample(size_t n, size_t k);

 private:
  static constexpr size_t kWords = 624;

  uint32_t Next();
  void Refill();
  size_t Below(size_t n);  // without bias, as sample() does

  std::array<uint32_t, kWords> words_{};
  size_t at_ = kWords;
};

}  // namespace linnet

#endif  // LINNET_EVAL_PYTHON_RANDOM_H_
