// Models that lie in memory and bring their vocabulary along, as the built-in one does.
#include "models/builtin_model.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/buffer.h"
#include "engine/own_vocabulary.h"
#include "io/deflated_text.h"
#include "linnet/linnet.h"
#include "linnet/model.h"
#include "models/detect.h"
#include "models/quantize.h"
#include "text/vocabulary_file.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// All bytes, and the words; ids 1 to 256 and on.
std::string VocabularyOf(const std::vector<std::string>& words) {
  std::vector<VocabularyEntry> entries;
  for (int i = 0; i < 256; ++i) entries.push_back({i + 1, std::string(1, static_cast<char>(i))});
  for (const auto& word : words) {
    entries.push_back({static_cast<int32_t>(entries.size()) + 1, word});
  }
  return FormatVocabulary(entries);
}

class InMemoryTest : public testing::Test {
 protected:
  // Tests run side by side, in processes of their own.
  InMemoryTest()
      : folder_(fs::path(testing::TempDir()) / ("linnet_in_memory_" + std::to_string(getpid()))) {
    fs::create_directories(folder_);
    file_ = folder_ / "model.safetensors";
  }
  ~InMemoryTest() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  // A packed nf4 model of 300 logits in file_.
  void Write(const std::vector<std::byte>& vocabulary) {
    InitSizes sizes;
    sizes.generation = Generation::k7;
    sizes.layers = 2;
    sizes.width = 64;
    sizes.vocab = 300;
    ThreadPool pool(1);
    QuantizeOptions options;
    options.packing.type = DType::kNF4;
    WriteNewPacked(NewConfig(sizes), Filling::kRandom, 1, file_, pool, options);
    options.vocabulary = vocabulary;
    const fs::path first = folder_ / "first.safetensors";
    fs::rename(file_, first);
    QuantizeCheckpoint(Checkpoint(first), file_, pool, options);
    fs::remove(first);
  }

  Buffer Bytes(size_t offset = 0) const {
    const size_t size = fs::file_size(file_);
    Buffer buffer(size + offset);
    std::ifstream(file_, std::ios::binary)
        .read(reinterpret_cast<char*>(buffer.data() + offset), static_cast<std::streamsize>(size));
    return buffer;
  }

  fs::path folder_, file_;
};

std::vector<float> LogitsOf(const Model& model, const std::vector<int32_t>& tokens) {
  Workspace workspace({.threads = 1});
  State state = model.NewState();
  std::vector<float> logits(model.config().vocab);
  model.Forward({tokens, &state, logits}, workspace);
  return logits;
}

TEST_F(InMemoryTest, RunsAsTheFileDoesBitForBit) {
  Write(DeflateText(VocabularyOf({" the", "linnet"})));
  const Buffer bytes = Bytes();
  const Model model = Model::FromMemory({bytes.data(), bytes.size()}, "small model");
  EXPECT_EQ(model.path(), "small model");
  const Model opened = Model::Open(file_);
  EXPECT_EQ(model.hash(), opened.hash());
  const auto a = LogitsOf(model, {1, 2, 3}), b = LogitsOf(opened, {1, 2, 3});
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(float)), 0);
}

TEST_F(InMemoryTest, BytesThatLieAskewAreRefused) {
  Write({});
  const Buffer bytes = Bytes(8);
  EXPECT_THROW(Model::FromMemory({bytes.data() + 8, bytes.size() - 8}, "small model"), Error);
}

TEST_F(InMemoryTest, ItsVocabularyIsItsTokenizerAndNoParameter) {
  const std::string text = VocabularyOf({" the", "linnet"});
  Write(DeflateText(text));
  const Model model = Model::Open(file_);
  EXPECT_EQ(model.vocabulary(), text);
  const auto tokenizer = TokenizerOf(model);
  EXPECT_EQ(tokenizer->Encode("linnet the"), (std::vector<int32_t>{258, 257}));
  const Checkpoint checkpoint(file_);
  EXPECT_EQ(TokenizerOf(checkpoint)->Encode("linnet"), (std::vector<int32_t>{258}));
  EXPECT_FALSE(checkpoint.Has(kVocabularyTensor));
  const std::string with = model.hash();
  Write({});
  EXPECT_EQ(Model::Open(file_).vocabulary(), "");
  EXPECT_EQ(Model::Open(file_).hash(), with);
}

std::string FailureOf(const Model& model) {
  try {
    TokenizerOf(model);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST_F(InMemoryTest, AVocabularyThatCannotBeIsRefusedWhenItIsReadAndNotBefore) {
  std::vector<std::string> words;
  for (int i = 0; i < 44; ++i) words.push_back("word" + std::to_string(i));
  std::vector<std::byte> damaged = DeflateText(VocabularyOf({"linnet"}));
  damaged[damaged.size() / 2] ^= std::byte{1};
  const std::pair<std::vector<std::byte>, const char*> cases[] = {
      {damaged, "its vocabulary"},
      {DeflateText("1 'a' 2\n"), "its length says"},
      {DeflateText(VocabularyOf(words)), "has ids up to 300, the model up to 299"},
      {std::vector<std::byte>(7), "zlib"}};
  for (const auto& [vocabulary, expected] : cases) {
    Write(vocabulary);
    const Model model = Model::Open(file_);
    EXPECT_EQ(LogitsOf(model, {1}).size(), 300u);
    EXPECT_NE(FailureOf(model).find(expected), std::string::npos) << FailureOf(model);
    EXPECT_EQ(FailureOf(model).find('\n'), std::string::npos);
  }
}

TEST(BuiltInModel, IsThereWholeOrSaysWhatIsMissing) {
  EXPECT_EQ(linnet_has_builtin_model() != 0, Model::HasBuiltIn());
  linnet_model* model = nullptr;
  if (!Model::HasBuiltIn()) {
    EXPECT_THROW(Model::BuiltIn(), Error);
    EXPECT_EQ(linnet_model_open(nullptr, nullptr, &model), LINNET_ERROR_BAD_MODEL);
    EXPECT_NE(std::string(linnet_last_error()).find("models/linnet.safetensors"),
              std::string::npos);
    return;
  }
  EXPECT_EQ(reinterpret_cast<uintptr_t>(BuiltInModel().data()) % 4096, 0u);
  const Model built_in = Model::BuiltIn();
  EXPECT_NE(built_in.vocabulary(), "");
  const auto tokenizer = TokenizerOf(built_in);
  const std::string text = "The linnet, caf\xc3\xa9 \xff";
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
  ASSERT_EQ(linnet_model_open(nullptr, nullptr, &model), LINNET_OK) << linnet_last_error();
  size_t count = 0;
  EXPECT_EQ(linnet_tokenize(model, "linnet", 6, nullptr, 0, &count), LINNET_OK);
  EXPECT_EQ(count, tokenizer->Encode("linnet").size());
  linnet_model_free(model);
}

}  // namespace
}  // namespace linnet
