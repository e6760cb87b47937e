#include "server/reply_reader.h"

#include <gtest/gtest.h>

#include <random>

namespace linnet {
namespace {

std::vector<ChatTool> TwoTools() { return {{.name = "now"}, {.name = "now_in"}}; }

ReplyForm FormWith(ReplyForm::Start start, const std::string& begun, bool trigger) {
  ReplyForm form{.start = start, .begun = begun};
  if (trigger) {
    form.trigger = std::make_shared<const CallTrigger>(TwoTools(), true);
    form.tools = {"now", "now_in"};
  }
  return form;
}

// `thoughts|text|name(arguments)…`, whatever parts it comes in.
std::string Read(const ReplyForm& form, std::string_view text, size_t part) {
  ChatCollector events;
  ReplyReader reader(form, 0, events);
  size_t tokens = 0;
  for (size_t at = 0; at < text.size(); at += part) {
    const TokenInfo token{.id = static_cast<int32_t>(tokens++)};
    reader.Push(text.substr(at, part), std::span(&token, 1));
  }
  reader.Finish();
  if (events.replies().empty()) return "||";
  const ChatMessage& said = events.replies()[0].message;
  std::string shown = said.thoughts + "|" + said.text + "|";
  for (const ChatCall& call : said.calls) shown += call.name + "(" + call.arguments + ")";
  return shown;
}

constexpr auto kReply = ReplyForm::Start::kReply;

TEST(ReplyReaderTest, TakesRepliesApartInAnyParts) {
  const struct {
    ReplyForm form;
    const char* text;
    const char* read;
  } kCases[] = {
      {FormWith(kReply, "", false), " Hello. ", "|Hello. |"},
      {FormWith(kReply, "", false), " <think>a b </think>\n\n Hi", "a b|Hi|"},
      {FormWith(kReply, "", false), " <thin", "|<thin|"},
      {FormWith(kReply, "", false), "<b>x</b> <think>", "|<b>x</b> <think>|"},
      {FormWith(kReply, " <think", false), ">\nhm </thin </think>Hi", "hm </thin|Hi|"},
      {FormWith(kReply, " <think", false), ">never ends </thi", "never ends||"},
      {FormWith(kReply, " <think>\n</think", false), ">\nHi", "|Hi|"},
      {FormWith(ReplyForm::Start::kRest, "", false), "  <think>x", "|  <think>x|"},
      {FormWith(ReplyForm::Start::kText, "", false), "\n {}", "|{}|"},
      {FormWith(ReplyForm::Start::kCall, "", false), R"({"name":"f","arguments":{"a":"}{\""}})",
       R"(||f({"a":"}{\""}))"},
      {FormWith(ReplyForm::Start::kCall, "", false),
       "[ {\"name\" : \"f\", \"arguments\" : [1] }, "
       "{\"arguments\":7,\"x\":{\"y\":[]},\"name\":\"g\"}"
       ",{\"name\":\"h\"}]\n```",
       "||f([1])g(7)h({})"},
      {FormWith(ReplyForm::Start::kCall, "", false), "no call", "||"},
      {FormWith(kReply, "", true),
       " Let me see.\n```json\n{\"name\": \"now\", \"arguments\": {}}\n```",
       "|Let me see.|now({})"},
      {FormWith(kReply, "", true),
       "**Tool Call:**\n```json\n{\"name\":\"now_in\",\"arguments\":{\"x\":1}}",
       "||now_in({\"x\":1})"},
      {FormWith(kReply, "", true), "<tool_call>\n{\"name\":\"now\",\"arguments\":{}}\n</tool_call>",
       "||now({})"},
      {FormWith(kReply, "", true),
       "```json\n[{\"name\":\"now\",\"arguments\":{}},{\"name\":\"now_in\",\"arguments\":{\"a\":2}}"
       "]\n```",
       "||now({})now_in({\"a\":2})"},
      // What looks like a call and is none is text, to the last byte.
      {FormWith(kReply, "", true), "```json\n{\"name\": \"Bob\"}\n```",
       "|```json\n{\"name\": \"Bob\"}\n```|"},
      {FormWith(kReply, "", true), "a ** b **Tool Call:** ``` ```jso ",
       "|a ** b **Tool Call:** ``` ```jso |"},
      {FormWith(kReply, "", true), "````json\n{\"name\":\"now\",\"arguments\":{}}", "|`|now({})"},
      {FormWith(kReply, "", true), "***Tool Call:**```json{\"name\":\"now\"}", "|*|now({})"},
      {FormWith(kReply, " <think", true), ">```json\n{\"name\":\"now\"}</think> x",
       "```json\n{\"name\":\"now\"}|x|"},
      {FormWith(kReply, "", true), "```json\n{\"name\":\"nowhere\"}",
       "|```json\n{\"name\":\"nowhere\"}|"},
      {FormWith(kReply, "", true), "\n\n", "||"},
      {FormWith(kReply, "", true), "", "||"},
  };
  for (const auto& c : kCases) {
    for (size_t part = 1; part <= std::string_view(c.text).size() + 1; ++part) {
      EXPECT_EQ(Read(c.form, c.text, part), c.read) << c.text << " in parts of " << part;
    }
  }
}

// Pieces of everything that the readers look for, in any order.
TEST(ReplyReaderTest, AnyTextReadsTheSameInAnyParts) {
  const char* const kPieces[] = {"```",
                                 "json",
                                 "`",
                                 "\n",
                                 " ",
                                 "{",
                                 "}",
                                 "[",
                                 "]",
                                 "\"name\"",
                                 ":",
                                 "\"now",
                                 "\"",
                                 "now_in\"",
                                 "<think>",
                                 "</think>",
                                 "<",
                                 "**",
                                 "Tool Call:**",
                                 "<tool_call>",
                                 "\\",
                                 "arguments",
                                 ",",
                                 "é",
                                 "x"};
  std::mt19937 random(7);
  const auto pick = [&](size_t count) { return random() % count; };
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t i = pick(30) + 1; i > 0; --i) text += kPieces[pick(std::size(kPieces))];
    const ReplyForm form = FormWith(static_cast<ReplyForm::Start>(pick(4)),
                                    pick(2) != 0 ? " <think" : "", pick(2) != 0);
    const std::string whole = Read(form, text, text.size());
    EXPECT_EQ(Read(form, text, 1), whole) << text;
    EXPECT_EQ(Read(form, text, 3), whole) << text;
  }
}

TEST(ReplyReaderTest, CountsThoughtsAndKeepsTokensWithTheirText) {
  const ReplyForm form = FormWith(kReply, " <think", false);
  ChatCollector events;
  ReplyReader reader(form, 0, events);
  const char* const kParts[] = {">", "hm", "</think>", "\n", "Hi", "."};
  for (int i = 0; i < 6; ++i) {
    const TokenInfo token{.id = i};
    reader.Push(kParts[i], std::span(&token, 1));
  }
  reader.Finish();
  EXPECT_EQ(reader.thought_tokens(), 3u);
  std::vector<int32_t> ids;
  for (const TokenInfo& token : events.replies()[0].tokens) ids.push_back(token.id);
  EXPECT_EQ(ids, (std::vector<int32_t>{3, 4, 5}));
}

}  // namespace
}  // namespace linnet
