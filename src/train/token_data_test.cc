#include "train/token_data.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void WriteFile(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

template <class T>
std::string Bytes(std::initializer_list<T> values) {
  std::string bytes;
  for (const T value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof(T));
  return bytes;
}

std::string Index(uint8_t type, std::initializer_list<int32_t> sizes,
                  std::initializer_list<int64_t> pointers, std::initializer_list<int64_t> ends) {
  return std::string("MMIDIDX\0\0", 9) + Bytes<uint64_t>({1}) + Bytes<uint8_t>({type}) +
         Bytes<uint64_t>({sizes.size(), ends.size()}) + Bytes(sizes) + Bytes(pointers) +
         Bytes(ends);
}

class TokenDataTest : public ::testing::Test {
 protected:
  TokenDataTest()
      : folder_(fs::path(::testing::TempDir()) /
                ::testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~TokenDataTest() override { fs::remove_all(folder_); }

  fs::path Path(const char* name) const { return folder_ / name; }

  void Write(const std::vector<std::vector<int32_t>>& documents, size_t vocab,
             uint8_t learnt = 1) const {
    TokenDataWriter writer(Path("d"), vocab);
    for (const auto& document : documents) {
      writer.Append(document, std::vector<uint8_t>(document.size(), learnt));
      writer.EndDocument();
    }
    writer.Commit();
  }

  std::string ErrorOf(size_t vocab = 1000) const {
    try {
      const TokenData data(Path("d"), vocab);
      std::vector<int32_t> tokens(data.tokens());
      data.Read(0, tokens);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  fs::path folder_;
};

TEST_F(TokenDataTest, LayoutIsTheReferences) {
  Write({{1, 2, 65535, 0}, {7, 0}}, 65536);
  EXPECT_EQ(ReadFile(Path("d.bin")), Bytes<uint16_t>({1, 2, 65535, 0, 7, 0}));
  EXPECT_EQ(ReadFile(Path("d.idx")), Index(8, {4, 2}, {0, 8}, {0, 1, 2}));
  EXPECT_FALSE(fs::exists(Path("d.mask")));
  Write({{1, 65536}}, 65537);
  EXPECT_EQ(ReadFile(Path("d.bin")), Bytes<int32_t>({1, 65536}));
  EXPECT_EQ(ReadFile(Path("d.idx")), Index(4, {2}, {0}, {0, 1}));
}

TEST_F(TokenDataTest, WhatIsWrittenIsReadBack) {
  TokenDataWriter writer(Path("d"), 300);
  writer.Append(std::vector<int32_t>{5}, std::vector<uint8_t>{0});
  writer.Append(std::vector<int32_t>{6, 299}, std::vector<uint8_t>{1, 1});
  writer.EndDocument();
  writer.EndDocument();
  writer.Append(std::vector<int32_t>{7}, std::vector<uint8_t>{1});
  writer.EndDocument();
  EXPECT_FALSE(fs::exists(Path("d.idx")));
  EXPECT_FALSE(fs::exists(Path("d.bin")));
  writer.Commit();
  for (const char* name : {"d", "d.bin", "d.idx", "d.mask"}) {
    const TokenData data(Path(name), 300);
    EXPECT_EQ(data.tokens(), 4u);
    ASSERT_EQ(data.documents(), 3u);
    EXPECT_EQ(data.Begin(0), 0u);
    EXPECT_EQ(data.Begin(1), 3u);
    EXPECT_EQ(data.Begin(2), 3u);
    EXPECT_EQ(data.Begin(3), 4u);
    std::vector<int32_t> tokens(3);
    data.Read(1, tokens);
    EXPECT_EQ(tokens, (std::vector<int32_t>{6, 299, 7}));
    EXPECT_TRUE(data.masked());
    EXPECT_FALSE(data.Learnt(0));
    EXPECT_TRUE(data.Learnt(1));
  }
  // A mask of older data does not stay behind.
  Write({{1, 2}}, 300);
  EXPECT_FALSE(TokenData(Path("d")).masked());
}

TEST_F(TokenDataTest, EveryTypeThatHoldsTokensIsRead) {
  const std::string bins[] = {Bytes<uint8_t>({9, 100}),
                              Bytes<int8_t>({9, 100}),
                              Bytes<int16_t>({9, 100}),
                              Bytes<int32_t>({9, 100}),
                              Bytes<int64_t>({9, 100}),
                              "",
                              "",
                              Bytes<uint16_t>({9, 100})};
  for (uint8_t type = 1; type <= 9; ++type) {
    const bool known = type != 6 && type != 7 && type != 9;
    const int64_t width = known ? static_cast<int64_t>(bins[type - 1].size() / 2) : 1;
    WriteFile(Path("d.bin"), known ? bins[type - 1] : "ab");
    WriteFile(Path("d.idx"), Index(type, {1, 1}, {0, width}, {0, 1, 2}));
    if (!known) {
      EXPECT_NE(ErrorOf().find("type"), std::string::npos) << int{type};
      continue;
    }
    ASSERT_EQ(ErrorOf(), "");
    const TokenData data(Path("d"));
    EXPECT_EQ(data.Token(0), 9);
    EXPECT_EQ(data.Token(1), 100);
  }
}

TEST_F(TokenDataTest, EntriesMakeDocumentsAsTheIndexSays) {
  WriteFile(Path("d.bin"), Bytes<uint16_t>({1, 2, 3, 4}));
  WriteFile(Path("d.idx"), Index(8, {1, 2, 1}, {0, 2, 6}, {0, 2, 3}));
  const TokenData two(Path("d"));
  ASSERT_EQ(two.documents(), 2u);
  EXPECT_EQ(two.Begin(1), 3u);
  WriteFile(Path("d.idx"), Index(8, {1, 2, 1}, {0, 2, 6}, {0}));
  const TokenData three(Path("d"));
  ASSERT_EQ(three.documents(), 3u);
  EXPECT_EQ(three.Begin(2), 3u);
}

TEST_F(TokenDataTest, LyingFilesAreRefused) {
  const std::string bin = Bytes<uint16_t>({1, 2, 3});
  const std::string good = Index(8, {1, 2}, {0, 2}, {0, 1, 2});
  const auto error = [&](const std::string& index, const std::string& tokens) {
    WriteFile(Path("d.idx"), index);
    WriteFile(Path("d.bin"), tokens);
    return ErrorOf();
  };
  ASSERT_EQ(error(good, bin), "");
  const std::pair<std::string, const char*> indices[] = {
      {"", "not the index"},
      {std::string(40, 'x'), "not the index"},
      {good.substr(0, good.size() - 1), "bytes after its header"},
      {good + "x", "bytes after its header"},
      {Index(8, {1, -2}, {0, 2}, {0, 1, 2}), "entry 1 has -2 tokens"},
      {Index(8, {1, 2}, {0, 4}, {0, 1, 2}), "entry 1 begins at byte 4, expected 2"},
      {Index(8, {1, 2}, {-2, 2}, {0, 1, 2}), "entry 0 begins at byte -2"},
      {Index(8, {1, 2}, {0, 2}, {0, 1, 3}), "document 2 ends at entry 3 of 2"},
      {Index(8, {1, 2}, {0, 2}, {1, 1, 2}), "document 0 ends at entry 1 of 2"},
      {Index(8, {1, 2}, {0, 2}, {0, -1, 2}), "document 1 ends at entry -1 of 2"},
      {Index(8, {1, 2}, {0, 2}, {0, 2, 1, 2}), "document 2 ends at entry 1 of 2"},
      {Index(8, {}, {}, {}), "says 0"}};
  for (const auto& [index, message] : indices) {
    EXPECT_NE(error(index, bin).find(message), std::string::npos) << error(index, bin);
  }
  std::string counts = good;  // both lists far larger than the file
  std::memset(counts.data() + 18, 0xFF, 16);
  EXPECT_NE(error(counts, bin).find("bytes after its header"), std::string::npos);
  EXPECT_NE(error(good, bin + "x").find("do not belong together"), std::string::npos);
  EXPECT_EQ(error(Index(8, {}, {}, {0}), ""), Path("d").string() + ".bin: holds no tokens");
  error(good, bin);
  EXPECT_NE(ErrorOf(3).find("token 2 has id 3, expected 0 to 2"), std::string::npos);
  WriteFile(Path("d.mask"), "11");
  EXPECT_NE(ErrorOf().find("d.mask: has 2 bytes"), std::string::npos);
  EXPECT_THROW(TokenData(Path("none")), Error);
}

}  // namespace
}  // namespace linnet
