#include "kernels/convert.h"

#include <bit>

#include "kernels/each_isa.h"
#include "tensor/half.h"

namespace linnet {
namespace {

using ConvertTest = EachIsa;

TEST_P(ConvertTest, EveryHalfIsWhatHalfHSays) {
  std::vector<uint16_t> halves(65536 + 5);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  std::vector<float> f16(halves.size()), bf16(halves.size());
  F16ToF32Row(halves.data(), halves.size(), f16.data());
  BF16ToF32Row(halves.data(), halves.size(), bf16.data());
  for (size_t i = 0; i < halves.size(); ++i) {
    // Hardware quiets signalling NaNs.
    const float expected = F16ToF32(halves[i]);
    ASSERT_TRUE(std::bit_cast<uint32_t>(f16[i]) == std::bit_cast<uint32_t>(expected) ||
                (f16[i] != f16[i] && expected != expected))
        << i;
    ASSERT_EQ(std::bit_cast<uint32_t>(bf16[i]), std::bit_cast<uint32_t>(BF16ToF32(halves[i])));
  }
}

// Every exponent, with mantissas at and around the ties of both formats.
TEST_P(ConvertTest, RoundingIsWhatHalfHSays) {
  std::vector<float> values;
  for (uint32_t high = 0; high < 0x10000; high += 3) {
    for (const uint32_t low : {0x0000u, 0x0fffu, 0x1000u, 0x1001u, 0x7fffu, 0x8000u, 0x8001u}) {
      values.push_back(std::bit_cast<float>(high << 16 | low));
    }
  }
  std::vector<uint16_t> f16(values.size()), bf16(values.size());
  F32ToF16Row(values.data(), values.size(), f16.data());
  F32ToBF16Row(values.data(), values.size(), bf16.data());
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(f16[i], F32ToF16(values[i])) << values[i];
    ASSERT_EQ(bf16[i], F32ToBF16(values[i])) << values[i];
  }
}
LINNET_EACH_ISA(ConvertTest);

}  // namespace
}  // namespace linnet
