#include "engine/prompt_budget.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace linnet {
namespace {

// A machine on which a pass takes time for the weights and for each row, more for rows beyond those
// that are free beside the weights.
struct Machine {
  double weights = 0.02, row = 0.002, free_rows = 4;
  double Pass(size_t rows) const {
    return weights + row * std::max(0.0, static_cast<double>(rows) - free_rows);
  }
};

// The times of `passes` passes as multiples of a pass without prompts, in ascending order.
std::vector<double> Ratios(const Machine& machine, PromptBudget& budget, size_t texts, int passes,
                           size_t* rows = nullptr, size_t prompts = 1) {
  std::vector<double> ratios;
  for (int i = 0; i < passes; ++i) {
    const size_t count = budget.Rows(texts, prompts);
    const double seconds = machine.Pass(texts + count);
    budget.Took(texts, count, seconds);
    ratios.push_back(seconds / machine.Pass(texts));
    if (rows != nullptr) *rows += count;
  }
  std::sort(ratios.begin(), ratios.end());
  return ratios;
}

TEST(PromptBudgetTest, TextsGoOnAtTheirPace) {
  for (const double row : {0.00001, 0.0005, 0.002, 0.01}) {
    for (const size_t texts : {size_t{1}, size_t{8}, size_t{64}}) {
      const Machine machine{.row = row};
      PromptBudget budget({.rows = 512, .stretch = 1.7});
      size_t rows = 0;
      const auto ratios = Ratios(machine, budget, texts, 400, &rows);
      EXPECT_LE(ratios[200], 2.0) << row << " " << texts;
      EXPECT_LE(ratios[380], 3.0) << row << " " << texts;
      EXPECT_GE(rows, 390u);  // and prompts are read
    }
  }
}

// What it allows is used: prompts get most of the time that they may take.
TEST(PromptBudgetTest, PromptsUseTheirTime) {
  PromptBudget budget({.rows = 512, .stretch = 1.7});
  const auto ratios = Ratios(Machine{}, budget, 8, 400);
  EXPECT_GE(ratios[200], 1.5);
}

// Many prompts beside few texts get more of the pass, up to the time of a pass of prompts alone.
TEST(PromptBudgetTest, ABurstOfPromptsIsReadSooner) {
  const auto rows_with = [](size_t texts, size_t prompts, double* slowest) {
    PromptBudget budget({.rows = 512, .stretch = 1.6, .pass_s = 0.25});
    size_t rows = 0;
    const auto ratios = Ratios(Machine{}, budget, texts, 200, &rows, prompts);
    *slowest = ratios[198] * Machine{}.Pass(texts);
    return rows;
  };
  double slowest = 0;
  const size_t one = rows_with(8, 1, &slowest), few = rows_with(8, 8, &slowest);
  EXPECT_EQ(one, few);
  EXPECT_GT(rows_with(8, 32, &slowest), 3 * few);
  EXPECT_LT(slowest, 0.25);
  rows_with(8, 1000, &slowest);
  EXPECT_LT(slowest, 0.3);
}

TEST(PromptBudgetTest, AdaptsToAnotherPace) {
  PromptBudget budget({.rows = 512, .stretch = 1.7});
  Ratios(Machine{.row = 0.0002}, budget, 8, 200);
  const auto ratios = Ratios(Machine{.row = 0.004}, budget, 8, 400);
  EXPECT_LE(ratios[200], 2.0);
  // And to another number of texts.
  EXPECT_LE(Ratios(Machine{.row = 0.004}, budget, 40, 400)[200], 2.0);
}

TEST(PromptBudgetTest, PromptsAloneFillPassesOfTheTimeGiven) {
  const Machine machine;
  PromptBudget budget({.rows = 512, .pass_s = 0.25});
  for (int i = 0; i < 20; ++i) {
    const size_t rows = budget.Rows(0, 1);
    EXPECT_GE(rows, 64u);
    EXPECT_LE(rows, 512u);
    budget.Took(0, rows, machine.Pass(rows));
  }
  EXPECT_NEAR(machine.Pass(budget.Rows(0, 1)), 0.25, 0.05);
}

// One pass that took long, because the machine stood still, changes little.
TEST(PromptBudgetTest, ASingleSlowPassChangesLittle) {
  PromptBudget budget({.rows = 512, .stretch = 1.7});
  Ratios(Machine{}, budget, 8, 100);
  const size_t rows = std::max<size_t>(budget.Rows(8, 1), 1);
  budget.Took(8, rows, 100);
  budget.Took(8, 0, 0.03);
  EXPECT_GE(budget.Rows(8, 1), rows / 2);
}

}  // namespace
}  // namespace linnet
