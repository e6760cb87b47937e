#include "train/data_builder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "linnet/error.h"
#include "text/tokenizers.h"
#include "train/encode_all.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class DataBuilderTest : public ::testing::Test {
 protected:
  DataBuilderTest() { fs::create_directories(folder_); }
  ~DataBuilderTest() override { fs::remove_all(folder_); }

  static Document Plain(const std::string& text) { return {DocumentPart{.owned = text}}; }

  // Adds "0", "1", … and writes them.
  void Build(int documents, const DataOrder& order) {
    DataBuilder builder(name_, *tokenizer_);
    for (int i = 0; i < documents; ++i) builder.Add(Plain(std::to_string(i)));
    builder.Write(order);
  }

  std::vector<std::string> Texts() const {
    const TokenData data(name_, tokenizer_->size());
    std::vector<std::string> texts;
    for (uint64_t i = 0; i < data.documents(); ++i) {
      std::vector<int32_t> ids(data.Begin(i + 1) - data.Begin(i));
      data.Read(data.Begin(i), ids);
      EXPECT_EQ(ids.back(), 0);
      ids.pop_back();
      texts.push_back(tokenizer_->Decode(ids));
    }
    return texts;
  }

  size_t Files() const {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder_), fs::directory_iterator()));
  }

  const std::unique_ptr<const Tokenizer> tokenizer_ = NewBytesTokenizer();
  const fs::path folder_ = fs::path(::testing::TempDir()) /
                           ::testing::UnitTest::GetInstance()->current_test_info()->name();
  const fs::path name_ = folder_ / "data";
};

TEST_F(DataBuilderTest, EveryDocumentIsThereOnceAnEpochInAnOrderOfTheSeed) {
  Build(50, {.shuffle = false});
  const auto in_order = Texts();
  for (int i = 0; i < 50; ++i) EXPECT_EQ(in_order[static_cast<size_t>(i)], std::to_string(i));

  Build(50, {.seed = 1, .epochs = 3});
  const auto one = Texts();
  ASSERT_EQ(one.size(), 150u);
  for (size_t epoch = 0; epoch < 3; ++epoch) {
    const auto begin = one.begin() + static_cast<ptrdiff_t>(50 * epoch);
    EXPECT_TRUE(std::is_permutation(begin, begin + 50, in_order.begin()));
    EXPECT_FALSE(std::equal(begin, begin + 50, in_order.begin()));
  }
  EXPECT_FALSE(std::equal(one.begin(), one.begin() + 50, one.begin() + 50));
  Build(50, {.seed = 1, .epochs = 3});
  EXPECT_EQ(Texts(), one);
  Build(50, {.seed = 2, .epochs = 3});
  EXPECT_NE(Texts(), one);
  EXPECT_EQ(Files(), 3u);  // .bin, .idx and .vocab.json, and nothing of the work
}

TEST_F(DataBuilderTest, PromptsAreMaskedAndTheEndIsLearntWithTheReply) {
  DataBuilder builder(name_, *tokenizer_);
  builder.Add({DocumentPart{.owned = "ask", .learnt = false}, DocumentPart{.owned = "say"}});
  builder.Add({DocumentPart{.owned = "x"}, DocumentPart{.owned = "y", .learnt = false}});
  EXPECT_EQ(builder.tokens(), 10u);
  EXPECT_EQ(builder.learnt(), 5u);
  builder.Write({.shuffle = false});
  const TokenData data(name_);
  std::string learnt;
  for (uint64_t i = 0; i < data.tokens(); ++i) learnt += data.Learnt(i) ? '1' : '0';
  EXPECT_EQ(learnt, "0001111100");
}

TEST_F(DataBuilderTest, LeavesNothingBehindWhenItFails) {
  Build(3, {});
  const auto before = Texts();
  {
    DataBuilder builder(name_, *tokenizer_);
    EXPECT_THROW(builder.Write({}), Error);
    builder.Add(Plain("x"));
    EXPECT_THROW(builder.Write({}, [](uint64_t) { throw Error(ErrorKind::kIo, "stop"); }), Error);
  }
  EXPECT_EQ(Texts(), before);
  EXPECT_EQ(Files(), 3u);
}

TEST(EncodingBlockTest, CutsWhereALineBeginsAndLosesNothing) {
  std::string text;
  for (int i = 0; i < 400; ++i) text += i % 7 == 0 ? "word\nnext " : "a’b \n ";
  for (const size_t longest : {8u, 20u, 64u, 1000u}) {
    std::string joined;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view block = EncodingBlock(rest, longest);
      ASSERT_GT(block.size(), 0u);
      ASSERT_LE(block.size(), longest);
      rest.remove_prefix(block.size());
      EXPECT_TRUE(rest.empty() || (static_cast<uint8_t>(rest[0]) & 0xC0) != 0x80);
      joined += block;
    }
    EXPECT_EQ(joined, text);
  }
  EXPECT_EQ(EncodingBlock("one two\nthree four", 12), "one two\n");
}

}  // namespace
}  // namespace linnet
