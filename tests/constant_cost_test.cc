// A token costs the same at any place of a sequence: memory and time, after 5 000 tokens or, with
// LINNET_COST_TOKENS=1000000 (`make soak`), after a million.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/memory.h"
#include "base/sanitized.h"
#include "linnet/model.h"
#include "program.h"

namespace linnet {
namespace {

constexpr size_t kWindow = 100;  // tokens; some milliseconds

size_t FarTokens() {
  const char* wanted = std::getenv("LINNET_COST_TOKENS");
  const size_t tokens = wanted == nullptr ? 5000 : std::strtoull(wanted, nullptr, 10);
  return std::max<size_t>(4 * kWindow, tokens / kWindow * kWindow);
}

// What this thread computed for, so that other programs' turns do not count.
double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Of the second half.
double LateMedian(std::vector<double> values) {
  values.erase(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2));
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

class ConstantCostTest : public testing::TestWithParam<const char*> {};

// Two sequences take turns by windows of tokens: one goes ever further, the other starts anew with
// every window. Both see the same tokens, and as they alternate, and swap who goes first, a machine
// that grows slower or faster does so for both. They use one State in turn, as its place in memory
// alone makes 2 to 4 % of a small model's time.
TEST_P(ConstantCostTest, OfATokenWhereverItStands) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory and time of its own";
  const ScratchFolder scratch;
  const std::string file = scratch / "model.safetensors";
  const Outcome init = RunLinnet({"init", "--generation", GetParam(), "--layers", "3", "--width",
                                  "128", "--vocab", "320", "--random", "--dtype", "bf16", file});
  ASSERT_EQ(init.exit_code, 0) << init.err;
  const Model model = Model::Open(file);
  Workspace workspace({.threads = 1});
  std::vector<float> logits(model.config().vocab);
  State state = model.NewState();
  const std::vector<float> start(state.values().begin(), state.values().end());
  std::vector<float> far = start, ended = start;
  const auto window_seconds = [&](std::vector<float>& end, const std::vector<float>& from,
                                  size_t window) {
    std::copy(from.begin(), from.end(), state.values().begin());
    const double begin = CpuSeconds();
    for (size_t i = 0; i < kWindow; ++i) {
      const auto id = static_cast<int32_t>((window * 7919 + i * 104729) % 320);
      model.Forward({{&id, 1}, &state, logits}, workspace);
    }
    const double seconds = CpuSeconds() - begin;
    std::copy(state.values().begin(), state.values().end(), end.begin());
    return seconds;
  };

  const size_t windows = FarTokens() / kWindow;
  std::vector<double> early(windows), late(windows);
  uint64_t memory_at_1000 = 0;
  for (size_t window = 0; window < windows; ++window) {
    if (window == 1000 / kWindow) memory_at_1000 = ResidentMemory();
    if (window % 2 == 0) early[window] = window_seconds(ended, start, window);
    late[window] = window_seconds(far, far, window);
    if (window % 2 == 1) early[window] = window_seconds(ended, start, window);
  }
  const uint64_t memory = ResidentMemory();
  // Of neighbours in time, as a machine shared with others knows more than one speed.
  std::vector<double> ratio(windows);
  for (size_t i = 0; i < windows; ++i) ratio[i] = late[i] / early[i];
  const double early_us = 1e6 * LateMedian(early) / kWindow,
               late_us = 1e6 * LateMedian(late) / kWindow;
  const double change = LateMedian(ratio);
  fmt::print(
      "RWKV-{}, {} tokens: {:.3f} MB at 1000, {:.3f} MB at the end; {:.3f} us a token of "
      "the first {}, {:.3f} us past the middle; ratio {:.4f}\n",
      GetParam(), windows * kWindow, static_cast<double>(memory_at_1000) / 1e6,
      static_cast<double>(memory) / 1e6, early_us, kWindow, late_us, change);
  EXPECT_NEAR(static_cast<double>(memory) / static_cast<double>(memory_at_1000), 1, 0.01);
  // A few dozen windows say less than thousands.
  EXPECT_NEAR(change, 1, windows >= 1000 ? 0.02 : 0.25);
}

INSTANTIATE_TEST_SUITE_P(Generations, ConstantCostTest, testing::Values("4", "5.2", "6", "7"),
                         [](const auto& generation) {
                           std::string name = generation.param;
                           std::erase(name, '.');
                           return "Rwkv" + name;
                         });

}  // namespace
}  // namespace linnet
