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

std::string Duration(double seconds) {
  const auto s = static_cast<uint64_t>(seconds + 0.5);
  if (s >= 86400) return fmt::format("{} d {} h", s / 86400, s % 86400 / 3600);
  if (s >= 3600) return fmt::format("{} h {:02} min", s / 3600, s % 3600 / 60);
  if (s >= 60) return fmt::format("{} min {:02} s", s / 60, s % 60);
  return fmt::format("{} s", s);
}

Progress::Progress(std::string doing, uint64_t total, bool time_left)
    : doing_(std::move(doing)),
      total_(std::max<uint64_t>(total, 1)),
      time_left_(time_left),
      next_(Clock::now() +
            (line_.terminal() ? Clock::duration(kFirst) : Clock::duration(kPlainLine))) {}

void Progress::Update(uint64_t done) {
  const auto now = Clock::now();
  if (now < next_) return;
  const double share = static_cast<double>(std::min(done, total_)) / static_cast<double>(total_);
  if (!line_.terminal()) {
    next_ = now + kPlainLine;
    Say(fmt::format("{}: {:.0f} %{}\n", doing_, 100 * share, Left(share)));
    return;
  }
  next_ = now + kBarRedraw;
  line_.Draw(BarLine(doing_ + Left(share), share, line_.columns()));
}

std::string Progress::Left(double share) const {
  if (!time_left_ || share <= 0) return "";
  const std::chrono::duration<double> gone = Clock::now() - start_;
  return fmt::format(", {} left", Duration(gone.count() / share * (1 - share)));
}

}  // namespace linnet::cli
