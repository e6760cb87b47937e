#include "engine/own_vocabulary.h"

#include <gtest/gtest.h>

#include "base/mapped_file.h"
#include "base/scratch_folder.h"
#include "linnet/model.h"
#include "models/goldens.h"
#include "models/quantize.h"

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

TEST(OwnVocabularyTest, AGgufFileInMemoryBringsItsOwn) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const MappedFile file(goldens::Data("gguf/v7-Q4_0.gguf"));
  const Model model = Model::FromMemory(file.bytes(), "no such file");
  const auto tokenizer = TokenizerOf(model);
  const auto expected = TokenizerOf(Checkpoint(goldens::Data("gguf/v7-Q4_0.gguf")));
  for (int32_t id = 0; id < 400; ++id) EXPECT_EQ(tokenizer->Bytes(id), expected->Bytes(id)) << id;
}

TEST(OwnVocabularyTest, OfAGgufFileGoesWithItsModel) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const test::TemporaryFolder scratch;
  const auto out = scratch / "out.safetensors";
  const Checkpoint gguf(goldens::Data("gguf/v6-Q8_0.gguf"));
  ThreadPool pool(1);
  const auto stored = StoredVocabularyOf(gguf);
  QuantizeOptions options;
  options.packing.type = DType::kI8;
  options.vocabulary = stored;
  QuantizeCheckpoint(gguf, out, pool, options);
  const auto before = TokenizerOf(gguf), after = TokenizerOf(Checkpoint(out));
  for (int32_t id = 0; id < 500; ++id) EXPECT_EQ(before->Bytes(id), after->Bytes(id)) << id;
  const std::string text = "the linnets' song\n\n\xff";
  EXPECT_EQ(before->Encode(text), after->Encode(text));
  EXPECT_TRUE(StoredVocabularyOf(Checkpoint(goldens::Data("models/tiny-v7.pth"))).empty());
}

TEST(OwnVocabularyTest, OtherFilesHaveWhatFitsTheirSize) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  EXPECT_STREQ(TokenizerOf(Checkpoint(goldens::Data("models/tiny-v7.pth")))->name(), "bytes");
}

}  // namespace
}  // namespace linnet
