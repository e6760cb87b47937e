#include "train/documents.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/scratch_folder.h"
#include "linnet/error.h"

namespace linnet {
namespace {

const ChatTemplate& WorldTemplate() { return ChatTemplate::Named("world"); }

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
  const test::TemporaryFolder folder;
  const std::string path = (folder / name).string();
  std::ofstream(path, std::ios::binary) << content;
  DocumentReader reader(path, WorldTemplate());
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
  EXPECT_NE(error("a.csv", "x").find("a.csv: expected a .txt, .md, .jsonl or .json file"),
            std::string::npos);
  EXPECT_NE(error("a.txt", std::string("\xFF\xFEo\0n\0", 6)).find("a.txt: is UTF-16"),
            std::string::npos);
  EXPECT_THROW(DocumentReader("no such file.txt", WorldTemplate()), Error);
}

TEST(DocumentReaderTest, ByteOrderMarksAreNoText) {
  const std::string mark = "\xEF\xBB\xBF", line = "{\"text\":\"a\"}\n";
  EXPECT_EQ(ReadAll("a.md", mark + "One.\n"), V({"One."}));
  EXPECT_EQ(ReadAll("a.jsonl", mark + line + line), V({"a", "a"}));
  EXPECT_EQ(ReadAll("a.json", mark + "[" + line + "]"), V({"a"}));
  // Files put one behind the other.
  EXPECT_EQ(ReadAll("a.TXT", mark + "One.\f" + mark + "Two.\f" + mark), V({"One.", "Two."}));
  EXPECT_EQ(ReadAll("a.jsonl", mark + line + mark + line), V({"a", "a"}));
}

TEST(DocumentReaderTest, ElementsOfAJsonArrayAreDocuments) {
  const std::string alpaca = R"({
    "instruction": "Say \"]}\".", "input": "", "output": "]}\\"
  })";
  const std::string sharegpt =
      R"({"id": "1", "conversations": [{"from": "human", "value": "q {["}, {"from": "gpt", "value": "a"}]})";
  const V wanted = {"[User: Say \"]}\".\n\nAssistant:] ]}\\", "[User: q {[\n\nAssistant:] a"};
  EXPECT_EQ(ReadAll("a.json", "[" + alpaca + "," + sharegpt + "]"), wanted);
  EXPECT_EQ(ReadAll("a.json", " \n[\n" + alpaca + "\n ,\n" + sharegpt + "\n]\n \n"), wanted);
  // As some write JSON lines, and a record by itself.
  EXPECT_EQ(ReadAll("a.json", alpaca + "\n" + sharegpt + "\n"), wanted);
  EXPECT_EQ(ReadAll("a.json", sharegpt), V({wanted[1]}));
  EXPECT_EQ(ReadAll("a.json", "[]"), V());
  EXPECT_EQ(ReadAll("a.json", " \n"), V());
}

TEST(DocumentReaderTest, ErrorsInAJsonArrayNameTheLine) {
  const auto error = [](const std::string& content) -> std::string {
    try {
      ReadAll("a.json", content);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  const std::string one = "{\"text\": \"a\"}";
  for (const auto& [content, said] : std::vector<std::pair<std::string, std::string>>{
           {"[\n" + one + "\n" + one + "]", "a.json:3: expected a comma or ]"},
           {"[\n" + one + ",\n]", "a.json:3: expected an object"},
           {"[" + one + ",\n\n{\"title\": 1}]", "a.json:3: expected {\"text\"}"},
           {"[" + one + ",\n\"a\"]", "a.json:2: expected an object"},
           {"[" + one + "\n", "a.json:2: the array does not end"},
           {"[" + one + ",", "a.json:1: the array does not end"},
           {"[\n\n{\"text\": \"a", "a.json:3: the object that begins here does not end"},
           {"[" + one + "]\nmore", "a.json:2: more follows the array"},
           {"[\n{\"text\": \"a\"]}]", "a.json:2: not a JSON object"},
           {"[{\"text\": tru}]", "a.json:1: not a JSON object"},
           {one + "\nmore", "a.json:2: expected an object"},
           {"\ntext", "a.json:2: not JSON, expected an array of objects"}}) {
    EXPECT_NE(error(content).find(said), std::string::npos) << content << "\n" << error(content);
  }
}

// Past the point where what was read leaves memory.
TEST(DocumentReaderTest, LongArraysAreReadWhole) {
  const std::string text(100'000, 'x');
  std::string array = "[";
  for (int i = 0; i < 700; ++i)
    array += (i == 0 ? "{\"text\":\"" : ",\n{\"text\":\"") + text + "\"}";
  const auto documents = ReadAll("long.json", array + "]");
  ASSERT_EQ(documents.size(), 700u);
  for (const std::string& document : documents) ASSERT_EQ(document, text);
}

TEST(DocumentReaderTest, TextWithoutANameIsJsonIfItBeginsAsSuch) {
  for (const char* text : {"[{", " \n[ {\"a\"", "{\"text\"", "\xEF\xBB\xBF{ \"text\""}) {
    EXPECT_EQ(FormatOfText(text), DocumentFormat::kJson) << text;
  }
  for (const char* text : {"", "[", "{", "[a]", "{a", "Once [{", "[\"a\""}) {
    EXPECT_EQ(FormatOfText(text), DocumentFormat::kText) << text;
  }
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

// What the model reads of its tools is not learnt, its calls are.
TEST(DocumentOfTest, ToolsAnswerAsTheUserDoes) {
  const std::string wanted =
      "[System: Tools:\n{\"name\":\"add\"}\n\nUser: 1+2?\n\nAssistant:] "
      "```json\n{\"name\": \"add\", \"arguments\": {\"a\":1}}\n```\n\nUser:[ Function output:\n3"
      "\n\nAssistant:] It is 3.";
  EXPECT_EQ(Shown(R"({"tools": [{"type": "function", "function": {"name": "add"}}], "messages": [
      {"role": "user", "content": "1+2?"},
      {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
          "function": {"name": "add", "arguments": "{\"a\": 1}"}}]},
      {"role": "tool", "tool_call_id": "1", "content": "3"},
      {"role": "assistant", "content": "It is 3."}]})"),
            wanted);
  EXPECT_EQ(Shown(R"({"system": "Tools:\n{\"name\":\"add\"}", "conversations": [
      {"from": "human", "value": "1+2?"},
      {"from": "function_call", "value": "{\"name\": \"add\", \"arguments\": {\"a\":1}}"},
      {"from": "observation", "value": "3"}, {"from": "gpt", "value": "It is 3."}]})"),
            wanted);
  EXPECT_EQ(
      Shown(R"({"tools": "[]", "conversations": [{"from": "human", "value": "q"},
      {"from": "gpt", "value": "a"}, {"from": "tool", "value": {"x": 1}},
      {"from": "tool", "value": "no\n\nAssistant: b"}, {"from": "gpt", "value": "c"}]})"),
      "[System: Tools:\n[]\n\nUser: q\n\nAssistant:] a\n\nUser:[ Function output:\n{\"x\":1}\n"
      "Function output:\nno\nAssistant: b\n\nAssistant:] c");
  EXPECT_EQ(Shown(R"({"messages": [{"role": "user", "content": [{"type": "text", "text": "q"},
      {"type": "text", "text": "r"}]}, {"role": "assistant", "content": "two", "tool_calls": [
      {"function": {"name": "f", "arguments": {}}}, {"function": {"name": "g"}}]}]})"),
            "[User: q\nr\n\nAssistant:] two\n```json\n[{\"name\": \"f\", \"arguments\": {}},\n"
            "{\"name\": \"g\", \"arguments\": {}}]\n```");
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
        R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
        R"({"messages":[{"role":"user","content":{"a":1}}]})",
        R"({"messages":[{"role":"assistant","tool_calls":[{"function":1}]}]})",
        "{\"text\":\"\xFF\"}"}) {
    EXPECT_EQ(Shown(line).substr(0, 7), "error: ") << line;
  }
  EXPECT_NE(Shown(R"({"messages":[{"role":"cat","content":"q"}]})").find("`cat`"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
