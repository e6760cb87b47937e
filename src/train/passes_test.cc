// Rows in chunks: the gradient through carried states is that of the whole row, and where it is cut
// it is that of pieces by themselves.
#include "train/passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <string>

#include "models/detect.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

constexpr double kScale = 0.02;

struct Learnt {
  double loss = 0;
  std::vector<float> gradients;

  bool operator==(const Learnt& o) const {
    return loss == o.loss && gradients.size() == o.gradients.size() &&
           std::memcmp(gradients.data(), o.gradients.data(), gradients.size() * sizeof(float)) == 0;
  }
};

SampleRow WeightedRow(size_t length, std::vector<uint32_t> starts) {
  SampleRow row;
  uint32_t number = 5;
  const auto next = [&] {
    return static_cast<int32_t>((number = number * 1664525 + 1013904223) >> 8);
  };
  for (size_t t = 0; t < length; ++t) {
    row.inputs.push_back(next() % 320);
    row.targets.push_back(next() % 6 == 0 ? -1 : next() % 320);
  }
  row.starts = std::move(starts);
  return row;
}

class PassesTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    Checkpoint checkpoint(test::RandomModel(GetParam()));
    const Config config = ConfigOf(checkpoint);
    network_ = Network::Bind(std::move(checkpoint), config, pool_, {.gradients = true});
  }

  std::span<float> CleanGradients() {
    const std::span<float> g = network_->gradients();
    std::fill(g.begin(), g.end(), 0.0f);
    return g;
  }

  Learnt Learn(const SampleRow& row, const PassOptions& options, size_t threads = 2) {
    const std::span<float> g = CleanGradients();
    ThreadPool pool(threads);
    Passes passes(*network_, options, pool);
    const double loss = passes.Learn({&row, 1}, 3, kScale, 11);
    return {loss, {g.begin(), g.end()}};
  }

  // Largest difference of any parameter's gradient, in units of that parameter's largest.
  double Difference(const Learnt& a, const Learnt& b) {
    double worst = 0;
    size_t at = 0;
    for (const Parameter& p : network_->parameters()) {
      double largest = 1e-9, difference = 0;
      for (const size_t end = at + p.g.rows * p.g.cols; at < end; ++at) {
        largest = std::max<double>(largest, std::abs(a.gradients[at]));
        const double d = std::abs(double{a.gradients[at]} - b.gradients[at]);
        if (!(d <= difference)) difference = d;
      }
      if (!(difference / largest <= worst)) worst = difference / largest;
    }
    return worst;
  }

  ThreadPool pool_{2};
  std::unique_ptr<Network> network_;
};

// A document that ends inside a chunk, one that ends with it, and one that is longer than chunks.
const std::vector<std::vector<uint32_t>> kStarts = {{0}, {0, 23}, {0, 7, 9, 28, 42}};
constexpr size_t kLength = 61;

TEST_P(PassesTest, FullGradientThroughChunksIsThatOfTheWholeRow) {
  for (const auto& starts : kStarts) {
    const SampleRow row = WeightedRow(kLength, starts);
    PassOptions options{.exact = true, .dropout = 0.1f};
    const Learnt whole = Learn(row, options);
    for (const size_t chunk : {1, 7, 16, 40}) {
      options.chunk = chunk;
      const Learnt chunks = Learn(row, options);
      EXPECT_NEAR(chunks.loss, whole.loss, 1e-12 * whole.loss) << "chunks of " << chunk;
      EXPECT_LT(Difference(whole, chunks), 1e-5) << "chunks of " << chunk;
    }
    options.chunk = kLength;
    EXPECT_EQ(Learn(row, options), whole) << "a chunk that is the row changed bits";
  }
}

// What cutting means, by hand: each chunk with a tape of its own, only its state handed on.
Learnt Detached(const Network& network, std::span<float> gradients, const SampleRow& row,
                size_t chunk, ThreadPool& pool) {
  Learnt out;
  State state(StateShapeOf(network.config()));
  for (size_t begin = 0; begin < row.inputs.size(); begin += chunk) {
    const size_t len = std::min(chunk, row.inputs.size() - begin);
    const Segment segment{0, len, state.values().data()};
    Arena arena;
    Tape tape;
    Pass p{.arena = arena,
           .pool = pool,
           .segments = {&segment, 1},
           .strides = network.strides(),
           .exact = true,
           .tape = &tape};
    double loss = 0;
    network.Loss(p, network.Run(p, std::span(row.inputs).subspan(begin, len)),
                 std::span(row.targets).subspan(begin, len), {true, kScale}, {&loss, 1});
    tape.Backward();
    out.loss += loss;
  }
  out.gradients.assign(gradients.begin(), gradients.end());
  return out;
}

TEST_P(PassesTest, CutEverywhereIsThatOfDetachedChunks) {
  const SampleRow row = WeightedRow(kLength, {0});
  for (const size_t chunk : {7, 16}) {
    const Learnt by_hand = Detached(*network_, CleanGradients(), row, chunk, pool_);
    const Learnt cut = Learn(row, {.exact = true, .chunk = chunk, .bptt = 1});
    EXPECT_EQ(cut, by_hand) << "chunks of " << chunk;
    EXPECT_GT(Difference(cut, Learn(row, {.exact = true})), 1e-3) << "nothing was cut";
  }
}

TEST_P(PassesTest, CutBeforeEveryThirdChunkIsCutBeforeOneOfThriceTheLength) {
  for (const auto& starts : kStarts) {
    const SampleRow row = WeightedRow(kLength, starts);
    const Learnt three = Learn(row, {.exact = true, .chunk = 5, .bptt = 3});
    const Learnt one = Learn(row, {.exact = true, .chunk = 15, .bptt = 1});
    EXPECT_NEAR(three.loss, one.loss, 1e-12 * one.loss);
    EXPECT_LT(Difference(one, three), 1e-5);
  }
}

TEST_P(PassesTest, NeitherThreadsNorRecomputingChangeABit) {
  const SampleRow row = WeightedRow(kLength, kStarts[2]);
  for (const size_t bptt : {0, 1, 2}) {
    for (const bool exact : {true, false}) {
      PassOptions options{.exact = exact, .dropout = 0.1f, .chunk = 9, .bptt = bptt};
      const Learnt expected = Learn(row, options, 1);
      EXPECT_EQ(Learn(row, options, 3), expected) << "threads, --bptt " << bptt;
      options.recompute = true;
      EXPECT_EQ(Learn(row, options, 2), expected) << "recomputed, --bptt " << bptt;
    }
  }
}

TEST_P(PassesTest, AChunkTakesTheMemoryOfAChunk) {
  Passes whole(*network_, {}, pool_), chunks(*network_, {.chunk = 64}, pool_);
  const uint64_t all = whole.Bytes(1, 1 << 14), few = chunks.Bytes(1, 1 << 14);
  EXPECT_LT(few, all / 8);
  EXPECT_NEAR(static_cast<double>(Passes(*network_, {.chunk = 1 << 14}, pool_).Bytes(1, 1 << 14)),
              static_cast<double>(all), 0.1 * static_cast<double>(all));
}

INSTANTIATE_TEST_SUITE_P(Generations, PassesTest,
                         testing::Values("4", "5.0", "5.1", "5.2", "6", "7", "7a"));

// With attention, rows are not processed in chunks.
class WholeRowsTest : public PassesTest {};

TEST_P(WholeRowsTest, NeitherThreadsNorRecomputingChangeABit) {
  for (const auto& starts : kStarts) {
    const SampleRow row = WeightedRow(kLength, starts);
    for (const bool exact : {true, false}) {
      PassOptions options{.exact = exact, .dropout = 0.1f};
      const Learnt expected = Learn(row, options, 1);
      EXPECT_EQ(Learn(row, options, 3), expected) << "threads";
      options.recompute = true;
      EXPECT_EQ(Learn(row, options, 2), expected) << "recomputed";
    }
  }
}

// Attention ends where a document does.
TEST_P(WholeRowsTest, DocumentsOfARowDoNotSeeEachOther) {
  const SampleRow row = WeightedRow(kLength, {0, 23});
  const Learnt together = Learn(row, {.exact = true});
  SampleRow parts[2];
  for (size_t i = 0; i < 2; ++i) {
    const ptrdiff_t begin = i == 0 ? 0 : 23, end = i == 0 ? 23 : kLength;
    parts[i].inputs.assign(row.inputs.begin() + begin, row.inputs.begin() + end);
    parts[i].targets.assign(row.targets.begin() + begin, row.targets.begin() + end);
    parts[i].starts = {0};
  }
  const Learnt first = Learn(parts[0], {.exact = true});
  Learnt alone = Learn(parts[1], {.exact = true});
  alone.loss += first.loss;
  for (size_t i = 0; i < first.gradients.size(); ++i) alone.gradients[i] += first.gradients[i];
  EXPECT_NEAR(together.loss, alone.loss, 1e-9 * alone.loss);
  // Adding one vector to all keys changes a softmax little, so gradients of the keys' bias cancel.
  EXPECT_LT(Difference(alone, together), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Generations, WholeRowsTest, testing::Values("7b"));

}  // namespace
}  // namespace linnet
