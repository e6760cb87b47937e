// The probes give the same answers at every level. They measure time, so they need an idle machine:
// `make soak` runs them.
#include "kernels/peaks.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <vector>

#include "kernels/each_isa.h"
#include "kernels/matmul.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

// Operations per second of `work`, the best of a few tries, since other programs may be running.
template <class F>
double BestRate(const F& work) {
  double best = 0;
  for (int i = 0; i < 7; ++i) {
    const auto start = Clock::now();
    const auto done = static_cast<double>(work());
    best = std::max(best, done / std::chrono::duration<double>(Clock::now() - start).count());
  }
  return best;
}

// Their sums are used, so that nothing of them is optimized away.
TEST(PeaksWork, IsCountedAtEveryLevel) {
  const std::vector<std::byte> memory(size_t{1} << 20, std::byte{1});
  for (const Isa isa : SupportedIsas()) {
    ForceIsa(isa);
    for (const auto work : {F32Work, Bf16Work, Int8Work}) EXPECT_GT(work(100), 0u) << Name(isa);
    EXPECT_EQ(ReadWork(memory.data(), memory.size()), memory.size()) << Name(isa);
  }
}

class Peaks : public EachIsa {
 protected:
  void SetUp() override {
    if (std::getenv("LINNET_MEASURE") == nullptr) GTEST_SKIP() << "LINNET_MEASURE is not set";
    EachIsa::SetUp();
  }
};

TEST_P(Peaks, AreOfThisWorld) {
  constexpr size_t kRounds = 20000;
  for (const auto work : {F32Work, Bf16Work, Int8Work}) {
    const double rate = BestRate([&] { return work(kRounds); });
    EXPECT_GT(rate, 1e7);
    EXPECT_LT(rate, 1e14);
  }
}

// Sums in registers are no slower than those of a product, at the same level.
TEST_P(Peaks, NoProductIsAboveThePeak) {
  constexpr size_t kRows = 96, kIn = 256, kOut = 256;
  const std::vector<float> values = Normal(kOut * kIn), x = Normal(kRows * kIn);
  std::vector<float> y(kRows * kOut);
  alignas(64) static std::byte packed[kOut * kIn * sizeof(float)];
  for (size_t panel = 0; panel < kOut / kPanelRows; ++panel) {
    PackPanel(DType::kF32, values.data() + panel * kPanelRows * kIn, kIn, kPanelRows, kIn,
              packed + panel * PanelBytes(DType::kF32, kIn));
  }
  const Weight w{DType::kF32, kOut, kIn, packed};
  const Activations rows{Activation::kF32, reinterpret_cast<const std::byte*>(x.data()), kRows,
                         kIn * sizeof(float)};
  double peak = 0, product = 0;
  for (int i = 0; i < 20; ++i) {  // the best of both, until the peak is reached
    peak = std::max(peak, BestRate([] { return F32Work(20000); }));
    product = std::max(product, BestRate([&] {
                         MatMul(w, rows, 0, kOut / kPanelRows, {y.data(), kRows, kOut, kOut});
                         return 2 * kRows * kIn * kOut;
                       }));
    if (peak >= product) break;
  }
  EXPECT_GE(peak, 0.98 * product);
}

// Forcing a lower level does not reduce the memory bandwidth.
TEST_P(Peaks, MemoryIsTheSameAtEveryLevel) {
  std::vector<std::byte> memory(size_t{64} << 20, std::byte{1});
  const auto read = [&] { return ReadWork(memory.data(), memory.size()); };
  double here = 0, highest = 0;
  for (int i = 0; i < 10; ++i) {
    ForceIsa(GetParam());
    here = std::max(here, BestRate(read));
    ForceIsa(SupportedIsas().back());
    highest = std::max(highest, BestRate(read));
    if (std::abs(std::log(here / highest)) < std::log(1.3)) break;
  }
  EXPECT_GT(here, highest / 1.5);
  EXPECT_LT(here, highest * 1.5);
}

LINNET_EACH_ISA(Peaks);

}  // namespace
}  // namespace linnet
