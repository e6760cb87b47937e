#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "cli/cli.h"

namespace linnet::cli {
namespace {

constexpr auto kFirst = std::chrono::milliseconds(500);
constexpr auto kBarRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(5);

}  // namespace

Progress::Progress(std::string doing, uint64_t total)
    : doing_(std::move(doing)),
      total_(std::max<uint64_t>(total, 1)),
      next_(Clock::now() +
            (line_.terminal() ? Clock::duration(kFirst) : Clock::duration(kPlainLine))) {}

void Progress::Update(uint64_t done) {
  const auto now = Clock::now();
  if (now < next_) return;
  const double share = static_cast<double>(std::min(done, total_)) / static_cast<double>(total_);
  if (!line_.terminal()) {
    next_ = now + kPlainLine;
    Say(fmt::format("{}: {:.0f} %\n", doing_, 100 * share));
    return;
  }
  next_ = now + kBarRedraw;
  line_.Draw(BarLine(doing_, share, line_.columns()));
}

}  // namespace linnet::cli
