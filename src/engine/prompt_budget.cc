#include "engine/prompt_budget.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr size_t kLeastAlone = 64;  // rows that share one read of the weights well
constexpr size_t kFirstAlone = 128, kFirstBeside = 8;  // while nothing was measured

}  // namespace

// The first sample counts as it is. Later ones are limited, since a machine sometimes stands still.
void PromptBudget::Estimate::Add(double sample) {
  if (seconds == 0) {
    seconds = sample;
  } else {
    seconds += 0.25 * (std::clamp(sample, seconds / 2, seconds * 2) - seconds);
  }
}

size_t PromptBudget::Rows(size_t texts, size_t prompts) const {
  if (texts == 0) {
    if (row_alone_.seconds == 0) return std::min(kFirstAlone, limits_.rows);
    const double rows = limits_.pass_s / row_alone_.seconds;
    const size_t least = std::min(kLeastAlone, limits_.rows);
    return rows < static_cast<double>(limits_.rows) ? std::max(least, static_cast<size_t>(rows))
                                                    : limits_.rows;
  }
  const Base& base = base_[RowKind(texts)];
  if (base.time.seconds == 0 || base.passes >= kRefresh) return 0;
  if (row_beside_.seconds == 0) return std::min(kFirstBeside, limits_.rows);
  const double fair = (limits_.stretch - 1) * base.time.seconds;
  const double burst = fair * static_cast<double>(prompts) / static_cast<double>(texts);
  const double seconds =
      std::clamp(burst, fair, std::max(fair, limits_.pass_s - base.time.seconds));
  const double rows = seconds / row_beside_.seconds;
  return rows < static_cast<double>(limits_.rows) ? std::max<size_t>(1, static_cast<size_t>(rows))
                                                  : limits_.rows;
}

void PromptBudget::Took(size_t texts, size_t prompt_rows, double seconds) {
  if (texts == 0) {
    if (prompt_rows > 0) row_alone_.Add(seconds / static_cast<double>(prompt_rows));
    return;
  }
  Base& base = base_[RowKind(texts)];
  if (prompt_rows == 0) {
    base.time.Add(seconds);
    base.passes = 0;
    return;
  }
  ++base.passes;
  // A pass that was no slower than one without prompts still says that rows are cheap.
  const double more = std::max(seconds - base.time.seconds, 0.02 * base.time.seconds);
  if (base.time.seconds > 0) row_beside_.Add(more / static_cast<double>(prompt_rows));
}

}  // namespace linnet
