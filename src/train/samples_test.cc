#include "train/samples.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <numeric>
#include <set>

#include "linnet/error.h"
#include "train/shuffle.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// Token values are their places in the data, plus one; so a row says where it is from.
class SamplesTest : public ::testing::Test {
 protected:
  ~SamplesTest() override { fs::remove_all(folder_); }

  // `prompt`: so many tokens at the front of each document are not learnt.
  TokenData Data(const std::vector<size_t>& sizes, size_t prompt = 0) {
    folder_ = fs::path(::testing::TempDir()) /
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::create_directories(folder_);
    TokenDataWriter writer(folder_ / "data", 1 << 17);
    int32_t next = 1;
    for (const size_t size : sizes) {
      std::vector<int32_t> tokens(size);
      std::iota(tokens.begin(), tokens.end(), next);
      next += static_cast<int32_t>(size);
      std::vector<uint8_t> learnt(size, 1);
      std::fill_n(learnt.begin(), std::min(prompt, size), uint8_t{0});
      writer.Append(tokens, learnt);
      writer.EndDocument();
    }
    writer.Commit();
    return TokenData(folder_ / "data");
  }

  fs::path folder_;
};

TEST(MagicPrimeTest, ReferenceVectors) {
  struct Case {
    uint64_t tokens, ctx, prime;
  };
  for (const Case& c : {Case{1498226207, 512, 2926181}, Case{1498226207, 4096, 365759},
                        Case{332115325534, 4096, 81082817}}) {
    EXPECT_EQ(MagicPrime(c.tokens, c.ctx), c.prime);
  }
  EXPECT_EQ(MagicPrime(0, 512), 0u);
  EXPECT_EQ(MagicPrime(2 * 512 + 511, 512), 0u);
  EXPECT_EQ(MagicPrime(3 * 512, 512), 2u);
  EXPECT_EQ(MagicPrime(6 * 512, 512), 5u);
}

TEST(MagicPrimeTest, ReferenceOrder) {
  const uint64_t at[] = {1, 2, 3, 40320, 40321, 1000000};
  const std::map<uint64_t, std::vector<uint64_t>> slots = {
      {2926181, {1808479, 2763108, 2010037, 1326902, 1232952, 224577}},
      {365759, {226051, 345372, 251233, 246271, 334513, 70540}},
      {81082817, {50111936, 76564220, 55697200, 11925192, 67748563, 11961290}}};
  for (const auto& [prime, wanted] : slots) {
    for (size_t k = 0; k < wanted.size(); ++k) {
      EXPECT_EQ(MagicPrimeSlot(prime, at[k]), wanted[k]) << prime << " " << at[k];
    }
  }
}

TEST_F(SamplesTest, MagicPrimeReadsEverySlotOnceAndCrossesDocuments) {
  const TokenData data = Data({7, 100, 1, 92});  // 200 tokens: 25 slots of 8, p = 23
  const auto samples = NewMagicPrimeSamples(data, 8);
  ASSERT_EQ(samples->rows_per_epoch(), 23u);
  std::set<int32_t> seen;
  SampleRow row;
  for (uint64_t i = 0; i < 23; ++i) {
    samples->Read(i, row);
    EXPECT_EQ(row.starts, std::vector<uint32_t>{0});
    EXPECT_EQ((row.inputs[0] - 1) % 8, 0);
    for (size_t k = 0; k < 8; ++k) {
      EXPECT_EQ(row.inputs[k], row.inputs[0] + static_cast<int32_t>(k));
      EXPECT_EQ(row.targets[k], row.inputs[k] + 1);
    }
    seen.insert(row.inputs[0]);
  }
  EXPECT_EQ(seen.size(), 23u);
  SampleRow again;
  samples->Read(22, row);
  samples->Read(45, again);
  EXPECT_EQ(row.inputs, again.inputs);
}

TEST_F(SamplesTest, MagicPrimeTakesAnySize) {
  SampleRow row;
  for (const size_t size : {1u, 2u, 5u, 8u, 9u, 16u, 17u, 23u}) {
    const TokenData data = Data({size});
    const auto samples = NewMagicPrimeSamples(data, 8);
    size_t targets = 0;
    for (uint64_t i = 0; i < samples->rows_per_epoch(); ++i) {
      samples->Read(i, row);
      for (const int32_t target : row.targets) targets += target >= 0 ? 1 : 0;
    }
    EXPECT_EQ(targets, size - 1);
  }
}

struct Seen {
  std::map<int32_t, int> targets;      // how often each token is learnt
  uint64_t spare = 0, beginnings = 0;  // beginnings: learnt from the input 0
};

// Reads an epoch and checks what must hold of every row.
Seen ReadEpoch(const SampleSource& samples, size_t ctx, uint64_t epoch) {
  Seen seen;
  SampleRow row;
  const uint64_t rows = samples.rows_per_epoch();
  for (uint64_t i = 0; i < rows; ++i) {
    samples.Read(epoch * rows + i, row);
    EXPECT_EQ(row.inputs.size(), ctx);
    EXPECT_EQ(row.targets.size(), ctx);
    EXPECT_EQ(row.starts.at(0), 0u);
    std::set<uint32_t> starts(row.starts.begin(), row.starts.end());
    EXPECT_EQ(starts.size(), row.starts.size());
    for (size_t k = 0; k < ctx; ++k) {
      if (row.targets[k] < 0) continue;
      ++seen.targets[row.targets[k]];
      // Only where something begins may an input be 0 instead of the token before.
      const bool begins = starts.count(static_cast<uint32_t>(k)) != 0;
      EXPECT_TRUE(row.inputs[k] == row.targets[k] - 1 || (begins && row.inputs[k] == 0));
      seen.beginnings += row.inputs[k] == 0 ? 1 : 0;
      if (!begins && row.targets[k - 1] >= 0) {
        EXPECT_EQ(row.inputs[k], row.targets[k - 1]);
      }
    }
    for (const int32_t target : row.targets) seen.spare += target < 0 ? 1 : 0;
  }
  return seen;
}

std::vector<size_t> RandomSizes(uint64_t seed, size_t count, uint64_t most) {
  SplitMix random(seed);
  std::vector<size_t> sizes;
  for (size_t i = 0; i < count; ++i) sizes.push_back(1 + random.Below(most));
  return sizes;
}

TEST_F(SamplesTest, PackedRowsLearnEveryTokenOnceAnEpochInTheFewestRows) {
  const std::vector<std::vector<size_t>> all = {{1},
                                                {5},
                                                {64},
                                                {65},
                                                {3, 3, 3},
                                                {40, 40, 40, 40},
                                                {1000},
                                                {64, 64},
                                                {100, 1, 1, 300, 7},
                                                RandomSizes(1, 50, 20),
                                                RandomSizes(2, 60, 64),
                                                RandomSizes(3, 40, 300)};
  for (const auto& sizes : all) {
    const TokenData data = Data(sizes);
    for (const size_t ctx : {1u, 7u, 64u}) {
      const auto samples = NewPackedSamples(data, ctx, 5);
      EXPECT_EQ(samples->rows_per_epoch(), (data.tokens() + ctx - 1) / ctx);
      for (uint64_t epoch = 0; epoch < 3; ++epoch) {
        const Seen seen = ReadEpoch(*samples, ctx, epoch);
        EXPECT_EQ(seen.targets.size(), data.tokens());
        for (const auto& [token, times] : seen.targets) EXPECT_EQ(times, 1) << token;
        EXPECT_LT(seen.spare, ctx);
        EXPECT_EQ(seen.beginnings, data.documents());
      }
    }
  }
}

TEST_F(SamplesTest, PromptsAreReadAndNotLearnt) {
  const auto sizes = RandomSizes(4, 100, 40);
  const TokenData data = Data(sizes, 9);
  ASSERT_TRUE(data.masked());
  const auto samples = NewPackedSamples(data, 32, 1);
  const Seen seen = ReadEpoch(*samples, 32, 0);
  size_t learnt = 0;
  for (const size_t size : sizes) learnt += size > 9 ? size - 9 : 0;
  EXPECT_EQ(seen.targets.size(), learnt);
  for (const auto& [token, times] : seen.targets) {
    EXPECT_EQ(times, 1);
    EXPECT_TRUE(data.Learnt(static_cast<uint64_t>(token - 1)));
  }
  // A prompt begins with its own first token, as in a chat.
  SampleRow row;
  for (uint64_t i = 0; i < samples->rows_per_epoch(); ++i) {
    samples->Read(i, row);
    for (const uint32_t start : row.starts) EXPECT_NE(row.inputs[start], 0);
  }
}

TEST_F(SamplesTest, NothingToLearnGivesARowWithoutTargets) {
  const TokenData data = Data({5, 5}, 5);
  const auto samples = NewPackedSamples(data, 4, 1);
  EXPECT_EQ(samples->rows_per_epoch(), 1u);
  EXPECT_TRUE(ReadEpoch(*samples, 4, 0).targets.empty());
}

TEST_F(SamplesTest, DocumentsThatFitAreWholeWhereLongOnesFillTheRest) {
  std::vector<size_t> sizes = RandomSizes(6, 200, 50);
  sizes.push_back(5000);
  sizes.push_back(7000);
  const TokenData data = Data(sizes);
  const auto samples = NewPackedSamples(data, 64, 9);
  std::set<int32_t> firsts;  // tokens that begin a document
  for (uint64_t i = 0; i < data.documents(); ++i) {
    firsts.insert(static_cast<int32_t>(data.Begin(i) + 1));
  }
  const auto long_begin = static_cast<int32_t>(data.Begin(200));
  SampleRow row;
  for (uint64_t i = 0; i < samples->rows_per_epoch(); ++i) {
    samples->Read(i, row);
    for (const uint32_t start : row.starts) {
      if (row.targets[start] < 0 || row.targets[start] > long_begin) continue;
      EXPECT_EQ(row.inputs[start], 0);
      EXPECT_EQ(firsts.count(row.targets[start]), 1u);
    }
  }
}

TEST_F(SamplesTest, OrderFollowsSeedAndEpochAndNothingElse) {
  const TokenData data = Data(RandomSizes(7, 80, 100));
  const auto a = NewPackedSamples(data, 32, 1), b = NewPackedSamples(data, 32, 1),
             c = NewPackedSamples(data, 32, 2);
  const uint64_t rows = a->rows_per_epoch();
  SampleRow x, y;
  size_t other_seed = 0, other_epoch = 0;
  for (uint64_t i = 0; i < rows; ++i) {
    a->Read(i, x);
    b->Read(rows - 1 - i, y);  // in another order of asking
    b->Read(i + rows, y);
    other_epoch += x.inputs != y.inputs ? 1 : 0;
    b->Read(i, y);
    EXPECT_EQ(x.inputs, y.inputs);
    EXPECT_EQ(x.targets, y.targets);
    EXPECT_EQ(x.starts, y.starts);
    c->Read(i, y);
    other_seed += x.inputs != y.inputs ? 1 : 0;
  }
  EXPECT_GT(other_seed, rows / 2);
  EXPECT_GT(other_epoch, rows / 2);
}

TEST(ShuffleTest, IsAPermutationAndTheSameEverywhere) {
  std::vector<int> items(10);
  std::iota(items.begin(), items.end(), 0);
  Shuffle(std::span(items), 1);
  EXPECT_EQ(SplitMix(1234567).Next(), 6457827717110365317u);  // the published generator's
  std::vector<int> sorted = items;
  std::sort(sorted.begin(), sorted.end());
  EXPECT_NE(items, sorted);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(sorted[static_cast<size_t>(i)], i);
}

}  // namespace
}  // namespace linnet
