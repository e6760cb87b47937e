// PromptBudget: how many rows of prompts a pass may have, so that running texts go on smoothly.
#ifndef LINNET_ENGINE_PROMPT_BUDGET_H_
#define LINNET_ENGINE_PROMPT_BUDGET_H_

#include <array>
#include <cstddef>

#include "engine/pass_times.h"

namespace linnet {

// Learns from the times of past passes. Not thread-safe.
class PromptBudget {
 public:
  struct Limits {
    size_t rows = 512;     // at most
    double stretch = 1.6;  // time of a pass with prompts, as a multiple of one without
    double pass_s = 0.25;  // time of a pass of prompts alone
  };

  explicit PromptBudget(const Limits& limits) : limits_(limits) {}

  // For the next pass, in which `texts` texts have one row each and `prompts` prompts are waiting.
  // Where more prompts wait than texts run, as in a burst of requests, prompts get so many times
  // more of the pass, up to the time of a pass of prompts alone: few texts wait a little so that
  // many do not wait long. 0 only if there are texts: their time without prompts is to be measured,
  // first and now and then.
  size_t Rows(size_t texts, size_t prompts) const;
  // A pass took so long.
  void Took(size_t texts, size_t prompt_rows, double seconds);

 private:
  static constexpr int kRefresh = 64;  // passes with prompts between two without

  struct Estimate {
    double seconds = 0;  // 0: unknown
    void Add(double sample);
  };
  struct Base {
    Estimate time;
    int passes = 0;  // with prompts since it was measured
  };

  Limits limits_;
  std::array<Base, kRowKinds> base_{};
  Estimate row_alone_, row_beside_;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_PROMPT_BUDGET_H_
