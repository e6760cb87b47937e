#include "train/documents.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "linnet/error.h"

namespace linnet {
namespace {

const ChatTemplate& World() { return ChatTemplate::Named("world"); }

// The text, with what is not learnt in brackets.
std::string Shown(const Document& document) {
  std::string text;
  for (const DocumentPart& part : document) {
    text += part.learnt ? std::string(part.text()) : fmt::format("[{}]", part.text());
  }
  return text;
}

std::string Shown(const std::string& line, const char* chat = "world") {
  try {
    return Shown(DocumentOf(line, ChatTemplate::Named(chat)));
  } catch (const Error& error) {
    return std::string("error: ") + error.what();
  }
}

std::vector<std::string> ReadAll(const char* name, const std::string& content) {
  const std::string path = ::testing::TempDir() + name;
  std::ofstream(path, std::ios::binary) << content;
  DocumentReader reader(path, World());
  std::vector<std::string> documents;
  Document document;
  while (reader.Next(document)) documents.push_back(Shown(document));
  EXPECT_EQ(reader.offset(), content.size());
  EXPECT_EQ(reader.size(), content.size());
  return documents;
}

using V = std::vector<std::string>;

TEST(DocumentReaderTest, TextIsCutAtFormFeedsAndEndOfTextLines) {
  EXPECT_EQ(ReadAll("a.txt", ""), V());
  EXPECT_EQ(ReadAll("a.txt", "One.\n\nTwo.\n"), V({"One.\n\nTwo."}));
  EXPECT_EQ(ReadAll("a.txt", "\xEF\xBB\xBFOne.\n<|endoftext|>\n\n Two.\n<|endoftext|>\n"),
            V({"One.", " Two."}));
  EXPECT_EQ(ReadAll("a.txt", "One.\r\n<|endoftext|>\r\nTwo.\fThree.\f\f \n\f"),
            V({"One.", "Two.", "Three."}));
  EXPECT_EQ(ReadAll("a.txt", "a <|endoftext|>\n<|endoftext|>b\n<|endoftext|>"),
            V({"a <|endoftext|>\n<|endoftext|>b"}));
}

// Past the point where what was read leaves memory.
TEST(DocumentReaderTest, LongTextsAreReadWhole) {
  const std::string line = std::string(999, 'x') + "\n", mark = "<|endoftext|>\n";
  std::string text;
  for (int i = 0; i < 70'000; ++i) text += line;
  const auto documents = ReadAll("long.txt", text + mark + line + mark);
  ASSERT_EQ(documents.size(), 2u);
  EXPECT_EQ(documents[0].size(), 70'000'000u - 1);
  EXPECT_EQ(documents[1].size(), 999u);
}

TEST(DocumentReaderTest, LinesOfJsonAreDocumentsAndErrorsNameThem) {
  EXPECT_EQ(ReadAll("a.jsonl", "{\"text\":\"a\\n\"}\n\n \r\n{\"text\":\"b\"}"), V({"a\n", "b"}));
  const auto error = [](const char* name, const std::string& content) -> std::string {
    try {
      ReadAll(name, content);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(error("a.jsonl", "{\"text\":\"a\"}\n\n{").find("a.jsonl:3: not a JSON object"),
            std::string::npos);
  EXPECT_NE(error("a.csv", "x").find("a.csv: expected a .txt or .jsonl file"), std::string::npos);
  EXPECT_THROW(DocumentReader("no such file.txt", World()), Error);
}

TEST(DocumentOfTest, TextIsAllLearntAsItStands) {
  EXPECT_EQ(Shown(R"({"text": " User: q\r\n", "meta": 1})"), " User: q\r\n");
  EXPECT_EQ(Shown(R"({"text": 1})"), "error: expected \"text\" to be a text");
}

TEST(DocumentOfTest, RepliesAndWhatEndsThemAreLearnt) {
  const std::string turns =
      R"([{"role":"system","content":"S\n\ns"},{"role":"user","content":" q\n\nq "},)"
      R"({"role":"assistant","content":"<think>t</think>\na\n\na "},{"role":"user","content":"r"},)"
      R"({"role":"assistant","content":"<think>t</think> b"}])";
  EXPECT_EQ(Shown("{\"messages\":" + turns + "}"),
            "[System: S\ns\n\nUser: q\nq\n\nAssistant:] a\n\na\n\nUser:[ r\n\nAssistant:]"
            " <think>t</think> b");
  EXPECT_EQ(Shown("{\"messages\":" + turns + "}", "world-classic"),
            "[System: S\ns\n\nUser: q\nq\n\nAssistant:] a\n\na\n\n[User: r\n\nAssistant:]"
            " <think>t</think> b");
  EXPECT_EQ(Shown(R"({"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"},
                      {"from":"human","value":"nobody answers"}]})"),
            "[User: q\n\nAssistant:] a");
}

TEST(DocumentOfTest, PromptsAndResponsesByTheirCommonNames) {
  const std::string wanted = "[User: q\n\nAssistant:] a";
  EXPECT_EQ(Shown(R"({"prompt":"q","response":"a"})"), wanted);
  EXPECT_EQ(Shown(R"({"prompt":"q","completion":" a"})"), wanted);
  EXPECT_EQ(Shown(R"({"story":"s","question":"q","answer":"a"})"), wanted);
  EXPECT_EQ(Shown(R"({"query":"q","response":"a"})"), wanted);
  EXPECT_EQ(Shown(R"({"instruction":"q","input":"","output":"a"})"), wanted);
  EXPECT_EQ(Shown(R"({"instruction":"q","input":"x","output":"a"})"),
            "[User: q\nx\n\nAssistant:] a");
  EXPECT_EQ(Shown(R"({"system":"s","question":"q","answer":"a"})"),
            "[System: s\n\nUser: q\n\nAssistant:] a");
  EXPECT_EQ(Shown(R"({"question":"q","answer":"a"})", "qa"), "[Q: q\n\nA:] a");
  // Of an empty reply its end is learnt.
  for (const char* chat : {"world", "alpaca-json"}) {
    const Document silent =
        DocumentOf(R"({"question":"q","answer":" "})", ChatTemplate::Named(chat));
    ASSERT_EQ(silent.size(), 2u);
    EXPECT_TRUE(silent[1].learnt);
    EXPECT_EQ(silent[1].text(), "");
  }
}

TEST(DocumentOfTest, WhatIsNoDocumentIsRefused) {
  for (const char* line :
       {"[]", "{}", "{\"text\"", R"({"prompt":"q"})", R"({"question":["q"],"answer":"a"})",
        R"({"messages":[]})", R"({"messages":{}})", R"({"messages":["x"]})",
        R"({"messages":[{"role":"user","content":"q"}]})",
        R"({"messages":[{"role":"cat","content":"q"}]})", R"({"messages":[{"role":"user"}]})",
        "{\"text\":\"\xFF\"}"}) {
    EXPECT_EQ(Shown(line).substr(0, 7), "error: ") << line;
  }
  EXPECT_NE(Shown(R"({"messages":[{"role":"cat","content":"q"}]})").find("`cat`"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
