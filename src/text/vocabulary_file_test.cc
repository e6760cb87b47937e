#include "text/vocabulary_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "linnet/error.h"
#include "text/python_literal.h"
#include "text/tokenizers.h"

namespace linnet {
namespace {

// All single bytes, ids 1 to 256, as the World file begins.
std::string Bytes() {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) {
    text += fmt::format("{} {}'\\x{:02x}' 1\n", byte + 1, byte < 128 ? "" : "b", byte);
  }
  return text;
}

std::string ErrorOf(const std::string& text, const std::string& name = "v.txt") {
  try {
    ParseVocabulary(text, name);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string LiteralError(std::string_view literal) {
  try {
    return "no error: " + ParsePythonLiteral(literal);
  } catch (const Error& error) {
    return error.what();
  }
}

TEST(PythonLiteralTest, WhatIsWrittenIsReadBack) {
  using namespace std::string_literals;
  for (const std::string& bytes :
       {"a'b\"c\\"s, "\0\n\r\t\x7f x "s, "é’\u00a0\u2028\ufeff漢"s, "\xe2\x80"s, "\xff'\\é"s}) {
    const std::string literal = FormatPythonLiteral(bytes);
    EXPECT_EQ(ParsePythonLiteral(literal), bytes) << literal;
    EXPECT_EQ(literal.find('\n'), literal.npos);
  }
  EXPECT_EQ(FormatPythonLiteral("it's é\n"), "'it\\'s é\\n'");
  EXPECT_EQ(FormatPythonLiteral("\xe2\x80"), "b'\\xe2\\x80'");
}

TEST(PythonLiteralTest, EveryFormGivesPythonsBytes) {
  using namespace std::string_literals;
  EXPECT_EQ(ParsePythonLiteral("'a b'"), "a b");
  EXPECT_EQ(ParsePythonLiteral("\"it's\""), "it's");
  EXPECT_EQ(ParsePythonLiteral("''"), "");
  EXPECT_EQ(ParsePythonLiteral(R"('\\\'\"\n\r\t\a\b\f\v')"), "\\'\"\n\r\t\a\b\f\v");
  EXPECT_EQ(ParsePythonLiteral(R"('\x00\xe9\u20ac\U0001F600\x7f')"), "\0é€😀\x7F"s);
  EXPECT_EQ(ParsePythonLiteral(R"('\0\12\1011\400')"), "\0\nA1\u0100"s);
  EXPECT_EQ(ParsePythonLiteral(R"(b'\xe9\377\u20ac\777')"), "\xE9\xFF\\u20ac\xFF");
  EXPECT_EQ(ParsePythonLiteral(R"(b"\"")"), "\"");
  EXPECT_EQ(ParsePythonLiteral(R"('\q\ ')"), "\\q\\ ");
  EXPECT_EQ(ParsePythonLiteral("'日本'"), "日本");
}

TEST(PythonLiteralTest, WhatPythonRefusesIsRefused) {
  for (const char* literal :
       {"", "'", "a", "'a", "a'", "'a\"", "''a'", R"('\')", R"('\x1')", R"('\xg0')", R"('\u20')",
        R"('\ud800')", R"('\U00110000')", R"('\N{DASH}')", "b'é'", "b", "b'", "'\xFF'", "u'a'"}) {
    EXPECT_NE(LiteralError(literal).substr(0, 8), "no error") << literal;
  }
}

TEST(VocabularyFileTest, ReadsLinesOfEitherEndAndSortsByBytes) {
  std::string text = "300 'th e' 4\r\n\r\n" + Bytes() + "299 '日' 3";
  const auto entries = ParseVocabulary(text, "v.txt");
  ASSERT_EQ(entries.size(), 258u);
  EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end(),
                             [](const auto& a, const auto& b) { return a.bytes < b.bytes; }));
  const auto tokenizer = NewWorldTokenizer(entries);
  EXPECT_EQ(tokenizer->size(), 301u);
  EXPECT_EQ(tokenizer->Bytes(300), "th e");
  EXPECT_EQ(tokenizer->Bytes(298), "");
  EXPECT_EQ(tokenizer->Encode("th eth 日"),
            (std::vector<int32_t>{300, 't' + 1, 'h' + 1, ' ' + 1, 299}));
}

TEST(VocabularyFileTest, MessagesNameTheLine) {
  const std::string bytes = Bytes();
  EXPECT_EQ(ErrorOf(bytes), "");
  EXPECT_EQ(ErrorOf(bytes + "257 'ab' 3\n"),
            "v.txt:257: the token has 2 bytes, but its length says `3`");
  EXPECT_EQ(ErrorOf(bytes + "257 'ab 2\n"), "v.txt:257: the token is not a quoted Python literal");
  EXPECT_EQ(ErrorOf(bytes + "x 'ab' 2\n"), "v.txt:257: id `x` is not a number from 0 to 262143");
  EXPECT_NE(ErrorOf(bytes + "99999999999 'ab' 2\n"), "");
  EXPECT_NE(ErrorOf(bytes + "262144 'ab' 2\n"), "");
  EXPECT_NE(ErrorOf(bytes + "-1 'ab' 2\n"), "");
  EXPECT_NE(ErrorOf(bytes + "257 '' 0\n"), "");
  EXPECT_NE(ErrorOf(bytes + "257\n"), "");
  EXPECT_NE(ErrorOf(bytes + "257 2\n"), "");
  EXPECT_EQ(ErrorOf(bytes + "256 'ab' 2\n"), "v.txt:257: id 256 again, first given on line 256");
  EXPECT_EQ(ErrorOf(bytes + "257 'a' 1\n"), "v.txt:257: the same token as on line 98");
  EXPECT_EQ(ErrorOf("\n"), "v.txt: the vocabulary has no token");
}

// As small models have them that do one task; what matters is the text.
TEST(VocabularyFileTest, AVocabularyNeedNotHaveEveryByte) {
  const auto tokenizer = NewWorldTokenizer(
      ParseVocabulary("1 '0 ' 2\n2 '<input>\\n' 8\n4 '\\n' 1\n8 '● ' 4\n", "v.txt"));
  EXPECT_EQ(tokenizer->Encode("<input>\n0 ● \n"), (std::vector<int32_t>{2, 1, 8, 4}));
  for (const char* text : {"0 1", "0 \xe2\x97", "<input>"}) {
    try {
      tokenizer->Encode(text);
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_NE(std::string(error.what()).find("no token for the text's byte 0x"),
                std::string::npos)
          << error.what();
    }
  }
}

// web-rwkv's and Ai00's.
TEST(VocabularyFileTest, AJsonObjectOfIdsIsReadToo) {
  const std::string json = R"({"1": "\u0000", "2": "a", "3": [128], "4": "你好", "9": "\"}"})";
  ASSERT_TRUE(IsJsonVocabulary(json));
  const auto entries = ParseVocabulary(json, "v.json");
  const auto tokenizer = NewWorldTokenizer(entries);
  const std::string text("\0a\x80你好\"}", 11);
  EXPECT_EQ(tokenizer->Encode(text), (std::vector<int32_t>{1, 2, 3, 4, 9}));
  EXPECT_EQ(tokenizer->Decode(tokenizer->Encode(text)), text);
  EXPECT_EQ(ParseVocabulary(FormatVocabulary(entries), "v.txt").size(), entries.size());
  EXPECT_FALSE(IsJsonVocabulary(R"({"version": "1.0"})"));
  for (const char* bad :
       {R"({"1": "a", "1": "b"})", R"({"1": "a", "2": "a"})", R"({"1": [256]})", R"({"1": [-1]})",
        R"({"1": {"a": 1}})", R"({"1": 7})", R"({"1": ""})", R"({"1": [[1]]})", R"({"1": null})",
        R"({"1x": "a"})", R"({"999999": "a"})", R"({"1": "a")", R"({"1": "a", "x": "b"})"}) {
    const std::string message = ErrorOf(bad, "v.json");
    EXPECT_EQ(message.find("v.json:"), 0u) << bad << ": " << message;
  }
}

}  // namespace
}  // namespace linnet
