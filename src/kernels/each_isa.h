// For tests: a fixture that runs a test at every instruction-set level of this CPU.
#ifndef LINNET_KERNELS_EACH_ISA_H_
#define LINNET_KERNELS_EACH_ISA_H_

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernels/isa.h"

namespace linnet {

// For fixtures: random values, the same in every run.
class NormalValues {
 protected:
  std::vector<float> Normal(size_t n, float scale = 1.0f) {
    std::normal_distribution<float> normal(0.0f, scale);
    std::vector<float> values(n);
    for (float& x : values) x = normal(random_);
    return values;
  }

  std::mt19937 random_{7};
};

class EachIsa : public testing::TestWithParam<Isa>, protected NormalValues {
 protected:
  void SetUp() override { ForceIsa(GetParam()); }
  void TearDown() override { ForceIsa(SupportedIsas().back()); }
};

inline std::string IsaName(const testing::TestParamInfo<Isa>& info) { return Name(info.param); }

// Compares bits, not values: -0 differs from 0, NaN equals NaN.
template <class T>
bool BitEqual(const std::vector<T>& a, const std::vector<T>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace linnet

// Instantiates a fixture derived from EachIsa.
#define LINNET_EACH_ISA(Fixture) \
  INSTANTIATE_TEST_SUITE_P(Level, Fixture, testing::ValuesIn(SupportedIsas()), IsaName)

#endif  // LINNET_KERNELS_EACH_ISA_H_
