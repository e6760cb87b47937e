#include "train/vocabulary_trainer.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "linnet/error.h"
#include "linnet/tokenizer.h"
#include "text/chat_template.h"
#include "text/tokenizers.h"

namespace linnet {
namespace {

std::vector<std::string> Pieces(std::string_view text) {
  std::vector<std::string> pieces;
  while (!text.empty()) {
    pieces.emplace_back(text.substr(0, FirstPiece(text)));
    text.remove_prefix(pieces.back().size());
  }
  return pieces;
}

TEST(FirstPieceTest, WordsTakeTheBlankBeforeThemAndTurnsAreCutCleanly) {
  using Strings = std::vector<std::string>;
  EXPECT_EQ(Pieces("User: Don't go,\n\nhe said."),
            (Strings{"User", ":", " Don't", " go", ",", "\n\n", "he", " said", "."}));
  EXPECT_EQ(Pieces("a):\nb\n\n\nc"), (Strings{"a", ")", ":", "\n", "b", "\n\n", "\n", "c"}));
  EXPECT_EQ(Pieces("x =  12\t\ty"), (Strings{"x", " =", "  ", "1", "2", "\t\t", "y"}));
  EXPECT_EQ(Pieces(" “Élan’s’ "), (Strings{" “", "Élan’s", "’", " "}));
  EXPECT_EQ(Pieces("a\xFF\xE2\x80"
                   "b_c"),
            (Strings{"a", "\xFF", "\xE2\x80", "b", "_", "c"}));
  EXPECT_EQ(FirstPiece(""), 0u);
}

std::string Story() {
  std::string text;
  uint32_t seed = 1;
  const std::vector<std::string> words = {"the",   "fox", "wouldn’t",  "say",   "nothing",
                                          "again", "and", "something", "quite", "happened"};
  for (int i = 0; i < 20000; ++i) {
    seed = seed * 1664525 + 1013904223;
    text += words[seed >> 24 & 7];
    text += (seed >> 20 & 15) == 0 ? ".\n\n" : (seed >> 20 & 15) == 1 ? ": " : " ";
    if ((seed >> 16 & 15) == 0) text += words[8 + (seed >> 12 & 1)] + "\n";
  }
  return text;
}

TEST(VocabularyTrainerTest, EntriesAreUsedAndKnowNoBoundaryOfTurns) {
  VocabularyTrainer trainer;
  trainer.Add(Story());
  const auto entries = trainer.Train(280);
  ASSERT_EQ(entries.size(), 279u);
  const auto tokenizer = ParseTokenizer(FormatVocabulary(entries), "v.txt");
  EXPECT_EQ(tokenizer->size(), 280u);
  EXPECT_EQ(tokenizer->Bytes(0), "");
  std::vector<bool> used(280);
  for (const int32_t id : tokenizer->Encode(Story())) used[static_cast<size_t>(id)] = true;
  size_t idle = 0;
  for (const VocabularyEntry& entry : entries) {
    if (entry.bytes.size() == 1) continue;
    EXPECT_TRUE(entry.bytes == "\n\n" || entry.bytes.find("\n\n") == std::string::npos);
    EXPECT_EQ(entry.bytes.find(':'), std::string::npos);
    if (!used[static_cast<size_t>(entry.id)]) ++idle;
  }
  EXPECT_LE(idle, 5u);  // User, Assistant, System and two with a blank before them
  // What a prompt is alone, it is in the middle of a text.
  const ChatTemplate& chat = ChatTemplate::Named("world");
  const auto prompt = tokenizer->Encode(chat.Prompt("the fox"));
  const auto whole = tokenizer->Encode(chat.Past("the fox", "nothing again."));
  ASSERT_LT(prompt.size(), whole.size());
  EXPECT_TRUE(std::equal(prompt.begin(), prompt.end(), whole.begin()));
  EXPECT_EQ(tokenizer->Bytes(whole.back()), "\n\n");
  EXPECT_EQ(tokenizer->Encode("User:").size(), 2u);
}

TEST(VocabularyTrainerTest, FewTokensAreMadeOfItsText) {
  // Every word and mark of the story fits into the vocabulary, so one token each is possible.
  VocabularyTrainer trainer;
  trainer.Add(Story());
  const auto tokenizer = NewWorldTokenizer(trainer.Train(400));
  EXPECT_EQ(tokenizer->Encode(Story()).size(), Pieces(Story()).size());
}

TEST(VocabularyTrainerTest, DependsOnTheTextAndNotOnItsOrder) {
  VocabularyTrainer a, b;
  for (const char* text : {"one two three", "three two four", "four wolves two owls"}) a.Add(text);
  for (const char* text : {"four wolves two owls", "one two three", "three two four"}) b.Add(text);
  EXPECT_EQ(FormatVocabulary(a.Train(280)), FormatVocabulary(b.Train(280)));
}

TEST(VocabularyTrainerTest, SizesThatCannotBeAreRefused) {
  VocabularyTrainer trainer;
  EXPECT_THROW(trainer.Train(256), Error);
  EXPECT_THROW(trainer.Train(size_t{1} << 20), Error);
  EXPECT_EQ(trainer.Train(1000).size(), 262u);  // no text: the bytes and what chats need
}

TEST(VocabularyTrainerTest, TokensOfStoriesAreLong) {
  const std::filesystem::path path = "../shared/data/text/fairytaleqa_stories.txt";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is not there";
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  VocabularyTrainer trainer;
  trainer.Add(text.str());
  const auto tokenizer = NewWorldTokenizer(trainer.Train(4096));
  const double tokens = static_cast<double>(tokenizer->Encode(text.str()).size());
  EXPECT_GT(static_cast<double>(text.str().size()) / tokens, 3.95);
}

}  // namespace
}  // namespace linnet
