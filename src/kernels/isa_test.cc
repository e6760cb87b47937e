#include "kernels/isa.h"

#include <vector>

#include "hwy/highway.h"
#include "kernels/each_isa.h"
#include "linnet/error.h"

namespace linnet {
namespace {

TEST(IsaTest, NamesParseBack) {
  for (const Isa isa : SupportedIsas()) EXPECT_EQ(ParseIsa(Name(isa)), isa);
  EXPECT_EQ(ParseIsa("AVX2"), std::nullopt);
  EXPECT_EQ(ParseIsa(""), std::nullopt);
}

TEST(IsaTest, TheHighestLevelIsTheDefault) {
  EXPECT_EQ(SupportedIsas().front(), Isa::kPortable);
  EXPECT_EQ(CurrentIsa(), SupportedIsas().back());
}

TEST(IsaTest, ALevelTheCpuLacksIsRefused) {
  if (SupportedIsas().back() == Isa::kAmx) GTEST_SKIP() << "this CPU has every level";
  EXPECT_THROW(ForceIsa(Isa::kAmx), Error);
  EXPECT_EQ(CurrentIsa(), SupportedIsas().back());
}

#if HWY_ARCH_X86_64
TEST(IsaTest, ACpuWithoutSse4IsRefused) {
  EXPECT_EQ(IsasAmong(HWY_SSE4 | HWY_SSSE3), std::vector{Isa::kPortable});
  EXPECT_THROW(IsasAmong(HWY_SSSE3), Error);
}
#endif

using IsaDispatchTest = EachIsa;

// Down and up again: the previous test may have left another level.
TEST_P(IsaDispatchTest, HighwayFollowsTheLevel) {
  EXPECT_EQ(CurrentIsa(), GetParam());
#if HWY_ARCH_X86_64
  const bool wide = GetParam() >= Isa::kAvx512, middle = GetParam() >= Isa::kAvx2;
  EXPECT_EQ((hwy::SupportedTargets() & HWY_AVX3) != 0, wide);
  EXPECT_EQ((hwy::SupportedTargets() & HWY_AVX2) != 0, middle);
#endif
  EXPECT_TRUE(hwy::GetChosenTarget().IsInitialized());
}
LINNET_EACH_ISA(IsaDispatchTest);

}  // namespace
}  // namespace linnet
