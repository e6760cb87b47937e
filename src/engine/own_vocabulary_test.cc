#include "engine/own_vocabulary.h"

#include <gtest/gtest.h>

#include "models/goldens.h"

namespace linnet {
namespace {

TEST(OwnVocabularyTest, AGgufFileBringsItsOwn) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const auto tokenizer = TokenizerOf(Checkpoint(goldens::Data("gguf/v7-Q4_0.gguf")));
  EXPECT_EQ(tokenizer->Bytes(0), "");
  EXPECT_EQ(tokenizer->Bytes(1), std::string_view("\0", 1));
  const std::string text = "a  b\n\n\xff\"'";
  const auto ids = tokenizer->Encode(text);
  EXPECT_LT(ids.size(), text.size());
  EXPECT_EQ(tokenizer->Decode(ids), text);
  // Written again it is the same list.
  const auto again = GgufVocabularyOf(*tokenizer, 402);
  EXPECT_EQ(again.tokens.at(0), "<s>");
  EXPECT_EQ(again.tokens.at(1), "\\x00");
  EXPECT_EQ(again.tokens.at(261), "\\n\\n");
  EXPECT_EQ(again.tokens.at(401), "[PAD401]");
  EXPECT_EQ(again.kinds.at(0), kControlToken);
  EXPECT_EQ(again.kinds.at(261), kNormalToken);
  EXPECT_EQ(again.kinds.at(401), kUnusedToken);
}

TEST(OwnVocabularyTest, OtherFilesHaveWhatFitsTheirSize) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  EXPECT_STREQ(TokenizerOf(Checkpoint(goldens::Data("models/tiny-v7.pth")))->name(), "bytes");
}

}  // namespace
}  // namespace linnet
