// A tokenizer belongs to a model only if the model has all its ids; and logits are numbers.
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "base/thread_pool.h"
#include "engine/own_vocabulary.h"
#include "engine/session.h"
#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/linnet.h"
#include "models/init.h"
#include "text/vocabulary_file.h"

namespace linnet {
namespace {

using std::filesystem::path;
using test::MessageOf;

// Ids 1 to `size` - 1, whose tokens are the single bytes and more.
path WriteVocabulary(const path& file, size_t size) {
  std::vector<VocabularyEntry> entries;
  for (size_t id = 1; id < size; ++id) {
    const auto byte = static_cast<char>((id - 1) % 256);
    entries.push_back({static_cast<int32_t>(id), std::string(id <= 256 ? 1 : id / 256 + 1, byte)});
  }
  std::ofstream(file, std::ios::binary) << FormatVocabulary(entries);
  return file;
}

class PairedVocabularyTest : public testing::Test {
 protected:
  path WriteModel(size_t vocab, float first_of_head = 0) {
    InitSizes sizes;
    sizes.layers = 1;
    sizes.width = 64;
    sizes.vocab = vocab;
    ThreadPool pool(1);
    const auto parameters = NewParameters(NewConfig(sizes));
    std::vector<TensorSpec> specs;
    for (const ParameterSpec& p : parameters) specs.push_back({p.name, SourceType::kF32, p.shape});
    const path file = folder_ / "model.safetensors";
    const auto writer = TensorWriter::Create(file, specs);
    for (const ParameterSpec& p : parameters) {
      std::vector<float> values(p.elements());
      FillParameter(p, Filling::kRandom, 5, pool, values.data());
      if (p.name == "head.weight") values[0] += first_of_head;
      writer->AppendFloats(SourceType::kF32, values);
    }
    writer->Finish();
    return file;
  }
  test::TemporaryFolder folder_;
};

TEST_F(PairedVocabularyTest, MoreIdsThanTheModelHasAreRefusedAndFewerAreFine) {
  const path model = WriteModel(300);
  for (const size_t size : {257, 299, 300}) {
    const path vocab = WriteVocabulary(folder_ / "vocab.txt", size);
    EXPECT_EQ(LoadTokenizer(vocab, 300)->size(), size);
    EXPECT_FALSE(StoredVocabulary(vocab, 300).empty());
  }
  const path vocab = WriteVocabulary(folder_ / "vocab.txt", 301);
  const std::string expected = vocab.string() + ": has ids up to 300, the model up to 299";
  EXPECT_EQ(MessageOf([&] { LoadTokenizer(vocab, 300); }).find(expected), 0u);
  EXPECT_EQ(MessageOf([&] { StoredVocabulary(vocab, 300); }).find(expected), 0u);
  linnet_model* opened = nullptr;
  EXPECT_EQ(linnet_model_open(model.c_str(), vocab.c_str(), &opened), LINNET_ERROR_BAD_INPUT);
  EXPECT_EQ(std::string(linnet_last_error()).find(expected), 0u) << linnet_last_error();
  EXPECT_EQ(opened, nullptr);
}

TEST_F(PairedVocabularyTest, AVocabularyInWebRwkvsFormIsHeldAsText) {
  const path file = folder_ / "vocab.json";
  std::ofstream(file) << R"({"1": "a", "2": [128], "3": "ab"})";
  const std::vector<std::byte> stored = StoredVocabulary(file, 300);
  const path text = folder_ / "vocab.txt";
  std::ofstream(text) << "1 'a' 1\n2 b'\\x80' 1\n3 'ab' 2\n";
  EXPECT_EQ(LoadTokenizer(text, 300)->Encode("aba\x80"),
            LoadTokenizer(file, 300)->Encode("aba\x80"));
  EXPECT_FALSE(stored.empty());
}

TEST_F(PairedVocabularyTest, LogitsThatAreNoNumbersAreRefusedWithTheModelsFile) {
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    const path file = WriteModel(256, bad);
    const Model model = Model::Open(file);
    Workspace workspace({.threads = 1});
    const auto tokenizer = Tokenizer::ForVocabulary(256);
    Session session(model, *tokenizer, workspace, {model.NewState(), {}}, Sampler({}));
    session.Feed(std::vector<int32_t>{1, 2});
    const std::string message = MessageOf([&] { session.Write({}); });
    EXPECT_EQ(message.find(file.string() + ": its logits are not finite"), 0u) << message;
  }
}

}  // namespace
}  // namespace linnet
