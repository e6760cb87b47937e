// Data knows which vocabulary its tokens are of.
#include "train/data_vocabulary.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch_folder.h"
#include "linnet/error.h"
#include "text/tokenizers.h"
#include "train/token_data.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

std::vector<VocabularyEntry> Entries(const std::string& word) {
  std::vector<VocabularyEntry> entries;
  for (int32_t i = 0; i < 256; ++i)
    entries.push_back({i + 1, std::string(1, static_cast<char>(i))});
  entries.push_back({257, word});
  return entries;
}

class DataVocabularyTest : public ::testing::Test {
 protected:
  void Write(const VocabularyId* vocabulary) const {
    TokenDataWriter writer(folder_ / "d", 300);
    writer.Append(std::vector<int32_t>{5, 257}, std::vector<uint8_t>{1, 1});
    writer.EndDocument();
    writer.Commit(vocabulary);
  }

  std::string ErrorOf(const Tokenizer& tokenizer) const {
    try {
      TokenData(folder_ / "d").CheckVocabulary(tokenizer, "other.txt");
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  void Say(const std::string& text) const { std::ofstream(folder_ / "d.vocab.json") << text; }

  test::TemporaryFolder folder_;
};

TEST_F(DataVocabularyTest, AnotherVocabularyIsRefused) {
  const auto one = NewWorldTokenizer(Entries("owl")), other = NewWorldTokenizer(Entries("fox"));
  const VocabularyId id = IdOf(*one);
  EXPECT_EQ(id.tokens, 258u);
  Write(&id);
  EXPECT_EQ(TokenData(folder_ / "d").vocabulary(), id);
  EXPECT_EQ(ErrorOf(*one), "");
  const std::string error = ErrorOf(*other);
  EXPECT_NE(error.find("another vocabulary (258 tokens, hash " + id.hash), error.npos) << error;
  EXPECT_NE(error.find("other.txt"), error.npos) << error;
}

// In whatever order and form a file names the tokens.
TEST_F(DataVocabularyTest, TheHashIsOfTheTokensNotOfTheirFile) {
  auto entries = Entries("owl");
  const VocabularyId id = IdOf(*NewWorldTokenizer(entries));
  const auto parsed = ParseTokenizer(FormatVocabulary(entries), "vocab.txt");
  EXPECT_EQ(IdOf(*parsed), id);
  EXPECT_FALSE(IdOf(*NewBytesTokenizer()) == id);
  EXPECT_EQ(IdOf(*NewBytesTokenizer()), IdOf(*NewBytesTokenizer()));
}

TEST_F(DataVocabularyTest, DataOfOtherProgramsOpensUnchecked) {
  Write(nullptr);
  EXPECT_FALSE(fs::exists(folder_ / "d.vocab.json"));
  EXPECT_FALSE(TokenData(folder_ / "d").vocabulary());
  EXPECT_EQ(ErrorOf(*NewBytesTokenizer()), "");
}

// What stood beside other data of this name is not taken for this one's.
TEST_F(DataVocabularyTest, NewDataOfNoKnownVocabularyForgetsTheOld) {
  const VocabularyId id = IdOf(*NewBytesTokenizer());
  Write(&id);
  EXPECT_TRUE(fs::exists(folder_ / "d.vocab.json"));
  Write(nullptr);
  EXPECT_FALSE(fs::exists(folder_ / "d.vocab.json"));
}

TEST_F(DataVocabularyTest, NewerVersionsAndDamageAreRefusedByName) {
  Write(nullptr);
  const auto error_of = [&](const std::string& text) {
    Say(text);
    return ErrorOf(*NewBytesTokenizer());
  };
  const std::string newer = error_of(R"({"version":2,"digest":"x"})");
  EXPECT_NE(newer.find("d.vocab.json: has version 2, expected 1"), newer.npos) << newer;
  for (const char* text :
       {"", "x", "[]", R"({"version":1})", R"({"version":1,"hash":3,"tokens":4})",
        R"({"hash":"00","tokens":4})", R"({"version":"1"})"}) {
    const std::string damaged = error_of(text);
    EXPECT_NE(damaged.find("d.vocab.json: is damaged"), damaged.npos) << text << damaged;
  }
}

TEST_F(DataVocabularyTest, ItsFilesAreKnownByTheirContent) {
  const VocabularyId id = IdOf(*NewBytesTokenizer());
  Write(&id);
  for (const char* name : {"d.bin", "d.idx", "d.vocab.json"})
    EXPECT_TRUE(IsTokenFile(folder_ / name));
  std::ofstream(folder_ / "d.mask") << "too long";
  EXPECT_FALSE(IsTokenFile(folder_ / "d.mask"));
  std::ofstream(folder_ / "e.bin") << "no index beside it";
  EXPECT_THROW(IsTokenFile(folder_ / "e.bin"), Error);
}

TEST_F(DataVocabularyTest, IdsOutsideOfTheModelsAreFoundBeforeARun) {
  Write(nullptr);
  EXPECT_NO_THROW(TokenData(folder_ / "d", 258).CheckIds());
  EXPECT_THROW(TokenData(folder_ / "d", 257).CheckIds(), Error);
}

}  // namespace
}  // namespace linnet
