#include "engine/own_vocabulary.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "base/mapped_file.h"
#include "base/scratch_folder.h"
#include "linnet/model.h"
#include "models/gguf_convert.h"
#include "models/goldens.h"
#include "models/quantize.h"
#include "models/test_models.h"

namespace linnet {
namespace {

// All bytes and a few words, in a GGUF file of a model with 320 tokens.
class OwnVocabularyTest : public testing::Test {
 protected:
  OwnVocabularyTest() {
    std::string lines;
    for (int byte = 0; byte < 256; ++byte) {
      lines += fmt::format("{} b'\\x{:02x}' 1\n", byte + 1, byte);
    }
    lines += "257 'the' 3\n258 ' linnet' 7\n259 '\\n\\n' 2\n";
    tokenizer_ = Tokenizer::Load(scratch_.Write("vocabulary.txt", lines));
    ConvertToGguf(Checkpoint(test::RandomModel("v7")), file_, GgufType::kQ8_0,
                  GgufVocabularyOf(*tokenizer_, 320));
  }

  test::TemporaryFolder scratch_;
  const std::filesystem::path file_ = scratch_ / "model.gguf";
  std::shared_ptr<const Tokenizer> tokenizer_;
};

TEST_F(OwnVocabularyTest, AGgufFileBringsItsOwn) {
  const auto own = TokenizerOf(Checkpoint(file_));
  for (int32_t id = 0; id < 320; ++id) EXPECT_EQ(own->Bytes(id), tokenizer_->Bytes(id)) << id;
  const std::string text = "the linnet\n\n\xff\"'";
  const auto ids = own->Encode(text);
  EXPECT_EQ(ids, tokenizer_->Encode(text));
  EXPECT_EQ(ids.size(), 6u);
  EXPECT_EQ(own->Decode(ids), text);
  // Written again it is the same list.
  const auto written = GgufVocabularyOf(*tokenizer_, 320), again = GgufVocabularyOf(*own, 320);
  EXPECT_EQ(again.tokens, written.tokens);
  EXPECT_EQ(again.kinds, written.kinds);
}

TEST_F(OwnVocabularyTest, AGgufFileOfLlamaCppBringsItsOwn) {
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

TEST_F(OwnVocabularyTest, AGgufFileInMemoryBringsItsOwn) {
  const MappedFile file(file_);
  const Model model = Model::FromMemory(file.bytes(), "no such file");
  const auto tokenizer = TokenizerOf(model);
  const auto expected = TokenizerOf(Checkpoint(file_));
  for (int32_t id = 0; id < 320; ++id) EXPECT_EQ(tokenizer->Bytes(id), expected->Bytes(id)) << id;
}

TEST_F(OwnVocabularyTest, OfAGgufFileGoesWithItsModel) {
  const auto out = scratch_ / "out.safetensors";
  const Checkpoint gguf(file_);
  ThreadPool pool(1);
  const auto stored = StoredVocabularyOf(gguf);
  QuantizeOptions options;
  options.packing.type = DType::kI8;
  options.vocabulary = stored;
  QuantizeCheckpoint(gguf, out, pool, options);
  const auto before = TokenizerOf(gguf), after = TokenizerOf(Checkpoint(out));
  for (int32_t id = 0; id < 320; ++id) EXPECT_EQ(before->Bytes(id), after->Bytes(id)) << id;
  const std::string text = "the linnets' song\n\n\xff";
  EXPECT_EQ(before->Encode(text), after->Encode(text));
  EXPECT_TRUE(StoredVocabularyOf(Checkpoint(test::ByteModel("v7"))).empty());
}

TEST_F(OwnVocabularyTest, OtherFilesHaveWhatFitsTheirSize) {
  EXPECT_STREQ(TokenizerOf(Checkpoint(test::ByteModel("v7")))->name(), "bytes");
}

}  // namespace
}  // namespace linnet
