#include "text/escaped_tokens.h"

#include <gtest/gtest.h>

#include <vector>

#include "linnet/error.h"

namespace linnet {
namespace {

TEST(EscapedTokensTest, EveryByteComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    const std::string one(1, static_cast<char>(i));
    EXPECT_EQ(UnescapeToken(EscapeToken(one)), one);
    all += one;
  }
  EXPECT_EQ(UnescapeToken(EscapeToken(all)), all);
}

TEST(EscapedTokensTest, SpellingIsPythons) {
  EXPECT_EQ(EscapeToken(std::string("\0\t\n\r\\\x7f\xe4", 7)), "\\x00\\t\\n\\r\\\\\\x7f\\xe4");
  EXPECT_EQ(EscapeToken("it's"), "it's");
  EXPECT_EQ(EscapeToken("\"'"), "\"\\'");
  EXPECT_EQ(UnescapeToken("\\'"), "'");
  EXPECT_EQ(UnescapeToken("\\x4"), "x4");
  EXPECT_EQ(UnescapeToken("end\\"), "end\\");
}

TEST(EscapedTokensTest, TheLongestTokenWinsAndMarksAreNotText) {
  std::vector<std::string> tokens = {"<s>"};
  std::vector<int32_t> kinds = {3};
  for (int i = 0; i < 256; ++i) tokens.push_back(EscapeToken(std::string(1, static_cast<char>(i))));
  kinds.resize(tokens.size(), 1);
  tokens.push_back("<s");
  kinds.push_back(1);
  tokens.push_back("[PAD258]");
  kinds.push_back(5);
  const auto tokenizer = EscapedTokenizer(tokens, kinds, "f");
  EXPECT_EQ(tokenizer->Encode("<s>"), (std::vector<int32_t>{257, '>' + 1}));
  EXPECT_EQ(tokenizer->Bytes(0), "");
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("[PAD258]\n")), "[PAD258]\n");
  tokens.resize(200);
  EXPECT_THROW(EscapedTokenizer(tokens, kinds, "f")->Encode("\xff"), Error);
}

}  // namespace
}  // namespace linnet
