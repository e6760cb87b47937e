#include "kernels/range_check.h"

#include <cmath>
#include <limits>
#include <vector>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

class RangeCheckTest : public EachIsa {};

TEST_P(RangeCheckTest, OneValueIsFoundWhereverItStands) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float most : {1.0f, 65519.0f, std::numeric_limits<float>::max()}) {
    for (const size_t n : {1u, 7u, 33u, 100u}) {
      std::vector<float> x(n);
      for (size_t i = 0; i < n; ++i) x[i] = i % 3 == 0 ? -most : i % 3 == 1 ? most : -0.0f;
      EXPECT_TRUE(AllMagnitudesWithin(x.data(), n, most));
      for (size_t i = 0; i < n; ++i) {
        const float before = x[i];
        for (const float value : {std::nextafter(most, infinity), -infinity, NAN, -NAN}) {
          x[i] = value;
          EXPECT_FALSE(AllMagnitudesWithin(x.data(), n, most)) << most << " " << n << " " << i;
        }
        x[i] = before;
      }
    }
  }
  EXPECT_TRUE(AllMagnitudesWithin(nullptr, 0, 1));
}

LINNET_EACH_ISA(RangeCheckTest);

}  // namespace
}  // namespace linnet
