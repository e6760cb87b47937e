#include "linnet/tokenizer.h"

#include <gtest/gtest.h>
#include <time.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "base/scratch_folder.h"
#include "linnet/error.h"
#include "text/builtin_vocabulary.h"
#include "text/tokenizers.h"
#include "text/unicode.h"

namespace linnet {
namespace {

const std::filesystem::path kFolder = "../shared/data/tokenizer";
// A tokenizer.json with single bytes and a few merges.
const std::filesystem::path kSmallJson = "fuzz/corpus/bpe/flags.json";

std::string ErrorOf(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

struct Line {
  std::string text;
  std::vector<int32_t> ids;
};

std::vector<Line> Golden(const std::string& name) {
  std::ifstream in(kFolder / name);
  std::vector<Line> lines;
  for (std::string line; std::getline(in, line);) {
    const auto json = nlohmann::json::parse(line);
    lines.push_back({json["text"], json["ids"]});
  }
  return lines;
}

void ExpectGolden(const Tokenizer& tokenizer, const std::string& name,
                  const std::function<std::string(std::string_view)>& expected_text) {
  const std::vector<Line> lines = Golden(name);
  ASSERT_EQ(lines.size(), 200u);
  for (const Line& line : lines) {
    EXPECT_EQ(tokenizer.Encode(line.text), line.ids) << line.text;
    EXPECT_EQ(tokenizer.Decode(line.ids), expected_text(line.text));
  }
}

TEST(WorldTokenizerTest, AgreesWithTheReferenceTrieBothWays) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << "no " << kFolder;
  const auto tokenizer = Tokenizer::Load(kFolder / "rwkv_vocab_v20230424.txt");
  EXPECT_STREQ(tokenizer->name(), "world");
  EXPECT_EQ(tokenizer->size(), 65530u);
  EXPECT_EQ(tokenizer->model_vocab(), 65536u);
  ExpectGolden(*tokenizer, "world.golden.jsonl", [](auto text) { return std::string(text); });
}

TEST(WorldTokenizerTest, BuiltInVocabularyIsTheReleasedOne) {
  if (BuiltinVocabulary().empty()) GTEST_SKIP() << "built without the World vocabulary";
  const auto tokenizer = Tokenizer::ForVocabulary(65536);
  EXPECT_EQ(tokenizer->size(), 65530u);
  EXPECT_EQ(tokenizer->model_vocab(), 65536u);
  EXPECT_EQ(tokenizer->Bytes(0), "");
  EXPECT_EQ(tokenizer->Bytes(11), "\n");
  EXPECT_EQ(tokenizer->Bytes(261), "\n\n");
  EXPECT_EQ(tokenizer->Bytes(24281), "User");
  EXPECT_EQ(tokenizer->Bytes(65530), "");
  EXPECT_EQ(tokenizer->Bytes(-1), "");
  std::string all(256, '\0');
  std::iota(all.begin(), all.end(), '\0');
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(all)), all);
  if (std::filesystem::exists(kFolder)) {
    ExpectGolden(*tokenizer, "world.golden.jsonl", [](auto text) { return std::string(text); });
  }
}

TEST(WorldTokenizerTest, OtherVocabulariesAreOfModelsOfTheirSize) {
  std::vector<VocabularyEntry> entries;
  for (int id = 1; id < 65530; ++id) {
    entries.push_back({id, id <= 256 ? std::string(1, static_cast<char>(id - 1))
                                     : "token " + std::to_string(id)});
  }
  const auto tokenizer = NewWorldTokenizer(entries);
  EXPECT_EQ(tokenizer->size(), 65530u);
  EXPECT_EQ(tokenizer->model_vocab(), 65530u);
  EXPECT_EQ(NewBytesTokenizer()->model_vocab(), 256u);
}

TEST(NeoxTokenizerTest, AgreesWithTokenizersLibraryBothWays) {
  if (!std::filesystem::exists(kFolder)) GTEST_SKIP() << "no " << kFolder;
  const auto tokenizer = Tokenizer::Load(kFolder / "20B_tokenizer.json");
  EXPECT_STREQ(tokenizer->name(), "20b");
  EXPECT_EQ(tokenizer->size(), 50277u);
  ExpectGolden(*tokenizer, "pile20b.golden.jsonl", ToNfc9);
}

TEST(NeoxTokenizerTest, LongWordsTakeTimeNotItsSquare) {
  const auto large_json = kFolder / "20B_tokenizer.json";
  const auto tokenizer =
      Tokenizer::Load(std::filesystem::exists(large_json) ? large_json : kSmallJson);
  // Of this thread alone: what else runs does not count.
  const auto cpu_seconds = [&](const std::string& text) {
    timespec begin{}, end{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
    const auto ids = tokenizer->Encode(text);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
    EXPECT_EQ(tokenizer->Decode(ids).size(), text.size());
    return static_cast<double>(end.tv_sec - begin.tv_sec) +
           1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec);
  };
  constexpr size_t kShort = 1 << 12, kLonger = 64;  // times; a square would be 4096 times
  for (const std::string repeated : {"aa", "  ", "\u0301\u0323"}) {
    std::string small, large;
    for (size_t i = 0; i < kShort; ++i) small += repeated;
    for (size_t i = 0; i < kLonger; ++i) large += small;
    const double once = cpu_seconds(small);
    EXPECT_LT(cpu_seconds(large), 16 * kLonger * once) << repeated;
  }
}

TEST(NeoxTokenizerTest, BytesThatAreNotTextBecomeReplacementCharacters) {
  const auto tokenizer = Tokenizer::Load(kSmallJson);
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode("a\xFFz\xE2\x82")), "a\uFFFDz\uFFFD");
}

TEST(BytesTokenizerTest, IdIsTheByte) {
  const auto tokenizer = Tokenizer::ForVocabulary(256);
  EXPECT_EQ(tokenizer->Encode(std::string_view("a\0\xFF", 3)), (std::vector<int32_t>{97, 0, 255}));
  EXPECT_EQ(tokenizer->Bytes(255), "\xFF");
  EXPECT_EQ(tokenizer->Bytes(256), "");
  EXPECT_EQ(tokenizer->size(), 256u);
}

TEST(TokenizerTest, ChoosesByVocabularySize) {
  const test::TemporaryFolder scratch;
  const std::filesystem::path home = scratch / "home";
  const auto remedy = [&](size_t vocab) {
    try {
      Tokenizer::ForVocabulary(vocab, {}, home);
    } catch (const Error& error) {
      return error.remedy();
    }
    return Remedy::kNone;
  };
  EXPECT_EQ(remedy(320), Remedy::kGiveVocabulary);
  EXPECT_EQ(remedy(50276), Remedy::kGiveVocabulary);
  const std::string missing =
      ErrorOf([&] { Tokenizer::ForVocabulary(50277, scratch / "model.pth", home); });
  EXPECT_NE(missing.find("20B_tokenizer.json"), std::string::npos) << missing;
  if (BuiltinVocabulary().empty()) {
    EXPECT_EQ(remedy(65536), Remedy::kGiveVocabulary);
  }
  std::filesystem::copy_file(kSmallJson, scratch / "20B_tokenizer.json");
  EXPECT_STREQ(Tokenizer::ForVocabulary(50277, scratch / "model.pth", home)->name(), "20b");
  std::filesystem::create_directories(home / ".local/share/linnet");
  std::filesystem::rename(scratch / "20B_tokenizer.json",
                          home / ".local/share/linnet/20B_tokenizer.json");
  EXPECT_STREQ(Tokenizer::ForVocabulary(50304, scratch / "model.pth", home)->name(), "20b");
}

// A digest names what a tokenizer does, wherever it came from.
TEST(TokenizerTest, DigestsAreOfIdsAndBytes) {
  const test::TemporaryFolder scratch;
  const auto digest = [&](const char* content) {
    const std::filesystem::path path = scratch / "v.txt";
    std::ofstream(path) << content;
    return Tokenizer::Load(path)->Digest();
  };
  const std::string some = digest("1 'a' 1\n2 b'\\x80' 1\n3 'ab' 2\n");
  EXPECT_EQ(some.size(), 64u);
  EXPECT_EQ(some.find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(digest("3 'ab' 2\n2 b'\\x80' 1\n1 'a' 1\n"), some) << "another order of lines";
  EXPECT_EQ(digest(R"({"1": "a", "2": [128], "3": "ab"})"), some) << "web-rwkv's form";
  EXPECT_NE(digest("1 'a' 1\n2 b'\\x81' 1\n3 'ab' 2\n"), some) << "another byte";
  EXPECT_NE(digest("2 'a' 1\n1 b'\\x80' 1\n3 'ab' 2\n"), some) << "other ids";
  EXPECT_NE(digest("1 'a' 1\n2 b'\\x80' 1\n3 'ab' 2\n4 'abc' 3\n"), some) << "one more";
  // The same bytes in all, cut otherwise.
  EXPECT_NE(digest("1 'ab' 2\n2 'c' 1\n"), digest("1 'a' 1\n2 'bc' 2\n"));
  EXPECT_NE(Tokenizer::ForVocabulary(256)->Digest(), some);
  EXPECT_EQ(Tokenizer::ForVocabulary(256)->Digest(), Tokenizer::ForVocabulary(256)->Digest());
}

// The same merges in another order give other ids for the same bytes.
TEST(NeoxTokenizerTest, DigestsAreOfTheMergesToo) {
  const test::TemporaryFolder scratch;
  const auto digest = [&](const nlohmann::json& content) {
    const std::filesystem::path path = scratch / "tokenizer.json";
    std::ofstream(path) << content;
    return Tokenizer::Load(path)->Digest();
  };
  std::ifstream in(kSmallJson);
  auto json = nlohmann::json::parse(in);
  const std::string some = digest(json);
  EXPECT_EQ(digest(json), some);
  EXPECT_EQ(Tokenizer::Load(kSmallJson)->Digest().size(), 64u);
  auto& merges = json["model"]["merges"];
  ASSERT_GE(merges.size(), 2u);
  std::swap(merges[0], merges[1]);
  EXPECT_NE(digest(json), some);
}

TEST(TokenizerTest, WrongFilesAreNamed) {
  const test::TemporaryFolder scratch;
  const auto message = [&](const std::string& content) {
    const std::filesystem::path path = scratch / "v.txt";
    std::ofstream(path) << content;
    const std::string text = ErrorOf([&] { Tokenizer::Load(path); });
    EXPECT_NE(text.find(path.string()), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  };
  EXPECT_NE(message("").find("empty"), std::string::npos);
  EXPECT_NE(message("<html>").find(":1:"), std::string::npos);
  EXPECT_NE(message("{\"a\": \n").find("JSON"), std::string::npos);
  EXPECT_NE(message("{\"weights\": 1}").find("model"), std::string::npos);
  EXPECT_NE(ErrorOf([&] { Tokenizer::Load(scratch / "none"); }).find("none"), std::string::npos);
}

}  // namespace
}  // namespace linnet
