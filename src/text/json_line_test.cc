// What is wrong with a line of JSON is said, and where.
#include "text/json_line.h"

#include <gtest/gtest.h>

#include <string>

#include "linnet/error.h"

namespace linnet {
namespace {

std::string RefusalOf(std::string_view line) {
  try {
    ParseJsonLine(line);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(JsonLineTest, ReadsObjectsWithWholeSurrogatePairs) {
  EXPECT_EQ(ParseJsonLine(R"({"text":"b\ud83d\ude00"})")["text"], "b\xF0\x9F\x98\x80");
}

TEST(JsonLineTest, ANumberPastAllNumbersIsNamed) {
  EXPECT_EQ(RefusalOf(R"({"text":1e999})"),
            "not a JSON object: it holds a number that is too large");
}

TEST(JsonLineTest, AHalfOfASurrogatePairIsNamed) {
  for (const char* half :
       {R"({"text":"b\ud83d"})", R"({"text":"b\ude00"})", R"({"text":"b\ud83dx"})"}) {
    const std::string message = RefusalOf(half);
    EXPECT_NE(message.find("surrogate"), std::string::npos) << message;
    EXPECT_NE(message.find("(byte 1"), std::string::npos) << message;
  }
}

TEST(JsonLineTest, OtherLinesAreRefusedInOneLine) {
  EXPECT_EQ(RefusalOf("[1]"), "not a JSON object");
  for (const char* line : {"", "{", "{\"a\":}", "{\"a\":\"\xff\"}", "{} {}"}) {
    const std::string message = RefusalOf(line);
    EXPECT_EQ(message.rfind("not a JSON object: ", 0), 0u) << line;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_EQ(message.find("last read"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace linnet
