#include "cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

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
      terminal_(isatty(STDERR_FILENO) != 0),
      next_(Clock::now() + (terminal_ ? Clock::duration(kFirst) : Clock::duration(kPlainLine))) {}

Progress::~Progress() {
  if (drawn_) Say("\r\x1b[K");
}

void Progress::Update(uint64_t done) {
  const auto now = Clock::now();
  if (now < next_) return;
  const double share = static_cast<double>(std::min(done, total_)) / static_cast<double>(total_);
  if (!terminal_) {
    next_ = now + kPlainLine;
    Say(fmt::format("{}: {:.0f} %\n", doing_, 100 * share));
    return;
  }
  next_ = now + kBarRedraw;
  drawn_ = true;
  constexpr int kWidth = 32;
  const auto filled = static_cast<size_t>(share * kWidth);
  Say(fmt::format("\r{} [{:.<{}}] {:3.0f} %\x1b[K", doing_, std::string(filled, '#'), kWidth,
                  100 * share));
}

}  // namespace linnet::cli
