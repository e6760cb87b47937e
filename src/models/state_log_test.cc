// A state that a log advances is that of a pass over the first rows only, to the bit, on every
// instruction-set level, however the pass was cut and whatever ran beside it.
#include "ops/state_log.h"

#include <gtest/gtest.h>

#include <cstring>
#include <span>
#include <vector>

#include "kernels/isa.h"
#include "linnet/model.h"
#include "models/test_models.h"

namespace linnet {
namespace {

constexpr size_t kBefore = 5, kRows = 19;

std::vector<int32_t> SomeTokens(size_t count, size_t seed, size_t vocab) {
  std::vector<int32_t> ids;
  for (size_t t = 0; t < count; ++t) {
    ids.push_back(static_cast<int32_t>((seed + 29 * t + t * t) % vocab));
  }
  return ids;
}

bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

class StateLogTest : public testing::TestWithParam<const char*> {
 protected:
  ~StateLogTest() override { ForceIsa(SupportedIsas().back()); }

  void Run(std::span<const int32_t> tokens, State& state, StateLog* log, Workspace& workspace) {
    const auto beside = SomeTokens(7, 3, model_.config().vocab);
    State other = model_.NewState();
    const Turn turns[] = {{.tokens = beside, .state = &other, .logits = {}},
                          {.tokens = tokens, .state = &state, .logits = {}, .log = log}};
    model_.Forward(turns, workspace);
  }

  const Model model_ = Model::Open(test::RandomModel(GetParam()));
};

TEST_P(StateLogTest, AdvancesAsAPassOverTheFirstRows) {
  const auto tokens = SomeTokens(kBefore + kRows, 11, model_.config().vocab);
  const auto rows = std::span(tokens).subspan(kBefore);
  StateLog log;
  for (const Isa isa : SupportedIsas()) {
    ForceIsa(isa);
    for (const size_t max_rows : {size_t{0}, size_t{6}}) {
      Workspace workspace({.threads = 2, .max_rows = max_rows});
      State before = model_.NewState();
      Run(std::span(tokens).first(kBefore), before, nullptr, workspace);
      State after = before.Clone();
      log.Clear();
      Run(rows, after, &log, workspace);
      for (size_t count = 0; count <= kRows; ++count) {
        State wanted = before.Clone(), replayed = before.Clone();
        if (count > 0) Run(rows.first(count), wanted, nullptr, workspace);
        log.Replay(replayed.values(), count);
        EXPECT_TRUE(SameBits(replayed.values(), wanted.values()))
            << count << " rows, level " << Name(isa) << ", passes of " << max_rows;
        if (count == kRows) {
          EXPECT_TRUE(SameBits(replayed.values(), after.values()));
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, StateLogTest,
                         testing::Values("4", "5.0", "5.1", "5.2", "6", "6moe", "7", "7a"));

}  // namespace
}  // namespace linnet
