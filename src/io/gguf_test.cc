#include "io/gguf.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/scratch_folder.h"
#include "io/ggml_tensor.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "tensor/half.h"

namespace linnet {
namespace {

template <class T>
std::string Number(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}
std::string Text(const std::string& text) { return Number<uint64_t>(text.size()) + text; }

struct Info {
  std::string name = "a.weight";
  std::vector<uint64_t> dims = {32, 2};
  uint32_t type = 8;
  uint64_t offset = 0;
};

// A key with a value of a type.
std::string Key(const std::string& name, uint32_t type, const std::string& value) {
  return Text(name) + Number(type) + value;
}

// A file with one string key, a vocabulary of two tokens, `keys` and tensors of `bytes` bytes in
// all.
std::string Gguf(const std::vector<Info>& infos, size_t bytes, uint32_t version = 3,
                 const std::vector<std::string>& keys = {}) {
  std::string file =
      "GGUF" + Number(version) + Number<uint64_t>(infos.size()) + Number<uint64_t>(3 + keys.size());
  file += Text("general.architecture") + Number<uint32_t>(8) + Text("rwkv7");
  file += Text("tokenizer.ggml.tokens") + Number<uint32_t>(9) + Number<uint32_t>(8) +
          Number<uint64_t>(2) + Text("<s>") + Text("\\x00");
  file += Text("tokenizer.ggml.token_type") + Number<uint32_t>(9) + Number<uint32_t>(5) +
          Number<uint64_t>(2) + Number<int32_t>(3) + Number<int32_t>(1);
  for (const std::string& key : keys) file += key;
  for (const Info& info : infos) {
    file += Text(info.name) + Number(static_cast<uint32_t>(info.dims.size()));
    for (const uint64_t n : info.dims) file += Number(n);
    file += Number(info.type) + Number(info.offset);
  }
  file.resize((file.size() + 31) / 32 * 32);
  return file + std::string(bytes, '\1');
}

std::string Ggmf(int32_t version, int32_t type, size_t bytes) {
  std::string file = "fmgg" + Number(version);
  for (const int32_t n : {256, 64, 1, type}) file += Number(n);
  for (const int32_t n : {2, 3, type, 32, 2}) file += Number(n);
  return file + "a.b" + std::string(bytes, '\1');
}

TensorFile Parse(const std::string& file) {
  return TensorFile::Parse(std::as_bytes(std::span(file)), "f.gguf");
}

std::string MessageOf(const std::function<void()>& run) {
  try {
    run();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(GgufTest, TensorsKeysAndVocabularyAreRead) {
  const std::string bytes = Gguf({{}, {"b", {3}, 0, 96}}, 96 + 12);
  const TensorFile file = Parse(bytes);
  EXPECT_EQ(file.metadata().at("general.architecture"), "rwkv7");
  const TensorView& t = *file.Find("a.weight");
  EXPECT_EQ(t.shape, (std::vector<size_t>{2, 32}));
  ASSERT_NE(t.encoding, nullptr);
  EXPECT_STREQ(t.encoding->type_name(), "q8_0");
  EXPECT_EQ(t.encoding->bytes().size(), 68u);
  const auto values = ReadAll(t);
  EXPECT_EQ(values, std::vector<float>(64, F16ToF32(0x0101)));
  EXPECT_EQ(ReadAll(*file.Find("b")).size(), 3u);
  const auto vocabulary = ReadGgufVocabulary({std::as_bytes(std::span(bytes)), "f"});
  EXPECT_EQ(vocabulary.tokens, (std::vector<std::string>{"<s>", "\\x00"}));
  EXPECT_EQ(vocabulary.kinds, (std::vector<int32_t>{3, 1}));
}

TEST(GgufTest, EveryTypeOfValueIsReadAsItsText) {
  const TensorFile file = Parse(
      Gguf({{}}, 68, 3,
           {Key("u8", 0, "\xff"), Key("i8", 1, "\xff"), Key("u16", 2, "\xff\xff"),
            Key("i16", 3, "\xff\xff"), Key("u32", 4, "\xff\xff\xff\xff"),
            Key("i32", 5, "\xff\xff\xff\xff"), Key("f32", 6, Number(0.5f)), Key("bool", 7, "\1"),
            Key("u64", 10, Number(~uint64_t{0})), Key("i64", 11, Number(int64_t{-1})),
            Key("f64", 12, Number(-0.25)), Key("general.alignment", 4, Number<uint32_t>(32))}));
  const std::map<std::string, std::string> expected = {
      {"u8", "255"},  {"i8", "-1"},          {"u16", "65535"},
      {"i16", "-1"},  {"u32", "4294967295"}, {"i32", "-1"},
      {"f32", "0.5"}, {"bool", "true"},      {"u64", "18446744073709551615"},
      {"i64", "-1"},  {"f64", "-0.25"}};
  for (const auto& [key, text] : expected) EXPECT_EQ(file.metadata().at(key), text) << key;
}

// By ggml's numbers: what lies beside the weights of some models.
TEST(GgufTest, TensorsOfPlainNumbersAreRead) {
  const std::pair<uint32_t, SourceType> types[] = {{0, SourceType::kF32},  {1, SourceType::kF16},
                                                   {24, SourceType::kI8},  {25, SourceType::kI16},
                                                   {26, SourceType::kI32}, {27, SourceType::kI64},
                                                   {28, SourceType::kF64}, {30, SourceType::kBF16}};
  for (const auto& [number, type] : types) {
    const TensorFile file = Parse(Gguf({{"a", {4}, number}}, 32));
    EXPECT_EQ(file.Find("a")->type, type) << number;
  }
}

// A block's own values, a transposed view of them and any cut are the same numbers.
TEST(GgufTest, ViewsOfBlocksReadAsThoseOfFloats) {
  std::string bytes = Gguf({{"a", {64, 4}, 8}}, 8 * 34);
  for (size_t i = 0; i < 8 * 34; ++i) {
    if (i % 34 >= 2) bytes[bytes.size() - 8 * 34 + i] = static_cast<char>(i * 7);
  }
  const TensorFile file = Parse(bytes);
  const TensorView& t = *file.Find("a");
  const auto all = ReadAll(t);
  const auto turned = ReadAll(t.Transposed());
  for (size_t i = 0; i < 4; ++i) {
    for (size_t k = 0; k < 64; ++k) EXPECT_EQ(turned[k * 4 + i], all[i * 64 + k]);
    EXPECT_EQ(ReadAll(t.Index(i)),
              std::vector<float>(all.begin() + 64 * i, all.begin() + 64 * (i + 1)));
  }
}

TEST(GgufTest, FilesThatCannotBeReadAreRefused) {
  struct Case {
    std::string file, message;
  };
  const std::string good = Gguf({{}}, 68);
  const Case cases[] = {
      {Gguf({{}}, 68, 1), "version 1, expected version 2 or 3"},
      {Gguf({{}}, 68, 0x03000000), "big-endian"},
      {Gguf({{}}, 67), "truncated"},
      {good.substr(0, 40), "truncated"},
      {Gguf({{"a", {33, 2}, 8}}, 68), "no possible size"},
      {Gguf({{"a", {uint64_t{1} << 62, 32}, 8}}, 68), "no possible size"},
      {Gguf({{"a", {uint64_t{1} << 50, 1}, 0}}, 68), "truncated"},
      {Gguf({{"a", {32, 2}, 10}}, 68), "of ggml type 10 (Q2_K)"},
      {Gguf({{"a", {32, 2}, 99}}, 68), "of ggml type 99 (unknown)"},
      {Gguf({{"a", {32, 2, 1, 1, 1}, 8}}, 68), "5 dimensions"},
      {Gguf({{"a", {32, 2}, 8, 1}}, 100), "expected a multiple of 32"},
      {Gguf({{"a", {32, 2}, 8, ~uint64_t{31}}}, 68), "truncated"},
      {Gguf({{}, {"b", {32, 14}, 8}, {"c", {32, 14}, 8}}, 476), "claim more bytes"},
      {Gguf({{}, {}}, 68), "two tensors a.weight"},
      {Gguf({{}}, 68, 3, {Key("general.alignment", 4, Number<uint32_t>(24))}), "is 24, expected"},
      {Gguf({{}}, 68, 3, {Key("general.alignment", 4, Number<uint32_t>(1 << 30))}),
       "expected a pow"},
      {Gguf({{}}, 68, 3, {Key("general.alignment", 8, Text("x"))}), "expected a power of two"},
      {Gguf({{}}, 68, 3, {Key("a", 13, "")}), "a value of type 13"},
      {Gguf({{}}, 68, 3, {Key("a", 9, Number<uint32_t>(9) + Number<uint64_t>(1))}), "an array of"},
  };
  for (const Case& c : cases) {
    const auto message = MessageOf([&] { Parse(c.file); });
    EXPECT_NE(message.find(c.message), std::string::npos) << c.message << " in: " << message;
  }
}

TEST(GgmfTest, QuantizedFilesOfTheOldVersionAreRefused) {
  EXPECT_EQ(ReadAll(*Parse(Ggmf(100, 0, 256)).Find("a.b")).size(), 64u);
  EXPECT_EQ(ReadAll(*Parse(Ggmf(101, 7, 44)).Find("a.b")).size(), 64u);
  const auto message = [](const std::string& file) { return MessageOf([&] { Parse(file); }); };
  EXPECT_NE(message(Ggmf(100, 7, 44)).find("of version 100, whose block"), std::string::npos);
  EXPECT_NE(message(Ggmf(101, 5, 44)).find("is of type 5"), std::string::npos);
  EXPECT_NE(message(Ggmf(102, 0, 256)).find("version 102"), std::string::npos);
  EXPECT_NE(message(Ggmf(101, 0, 255)).find("truncated"), std::string::npos);
}

// Whatever a file says, it is read or refused.
TEST(GgufTest, BrokenFilesAreReadOrRefused) {
  for (const std::string& good : {Gguf({{}, {"b", {3}, 0, 96}}, 108), Ggmf(101, 7, 44)}) {
    for (size_t size = 0; size < good.size(); ++size) {
      EXPECT_NE(MessageOf([&] { Parse(good.substr(0, size)); }), "") << size;
    }
    for (size_t at = 4; at < good.size(); ++at) {
      for (const char value : {'\0', '\x7f', '\xff'}) {
        std::string bad = good;
        bad[at] = value;
        MessageOf([&] {
          const TensorFile file = Parse(bad);
          for (const TensorView& t : file.tensors()) {
            if (IsFloat(t.type)) ReadAll(t);
          }
        });
        if (bad[0] == 'G') {
          MessageOf([&] { ReadGgufVocabulary({std::as_bytes(std::span(bad)), "f"}); });
        }
      }
    }
  }
}

}  // namespace
}  // namespace linnet
