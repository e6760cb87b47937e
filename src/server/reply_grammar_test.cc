#include "server/reply_grammar.h"

#include <gtest/gtest.h>

#include "grammar/test_constraints.h"
#include "server/openai_errors.h"
#include "server/reply_reader.h"

namespace linnet {
namespace {

std::vector<ChatTool> WeatherTools() {
  return {{.name = "weather",
           .parameters = R"({"type":"object","properties":{"city":{"type":"string"},
             "days":{"type":"integer"}},"required":["city"],"additionalProperties":false})",
           .strict = true},
          {.name = "now"}};
}

std::shared_ptr<const Grammar> MayCall(const std::vector<ChatTool>& tools,
                                       const CallTrigger& trigger, ReplyLimits::Thought thought,
                                       const OutputFormat& format = {}) {
  return GrammarOfReply({.thought = thought,
                         .calls = ReplyLimits::Calls::kMay,
                         .tools = tools,
                         .trigger = &trigger,
                         .lists = true,
                         .format = format});
}

TEST(ReplyGrammarTest, ACallIsBoundByItsSchemaAndAnythingElseIsText) {
  const auto tools = WeatherTools();
  const CallTrigger trigger(tools, true);
  const auto grammar = MayCall(tools, trigger, ReplyLimits::Thought::kNone);
  const struct {
    const char* text;
    bool good;
  } kCases[] = {
      {"", true},
      {" It rains.\n\n```json\n{\"name\": \"Bob\"}\n```\nWell?", true},
      {"```json", true},
      {"```json\n{\"name\": \"weather\"", false},  // must go on
      {"```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```", true},
      {"Wait.\n```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n```", true},
      {"```json\n{\"name\": \"weather\", \"arguments\": {\"city\": 7}}\n```", false},
      {"```json\n{\"name\": \"weather\", \"arguments\": {}}\n```", false},
      {"```json\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Oslo\"}}\n``` and", false},
      {"```json\n{\"name\": \"now\", \"arguments\": {\"any\": [1]}}\n```", true},
      {"**Tool Call:**\n```json\n{\"name\": \"now\", \"arguments\": {}}\n```", true},
      {"<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>", true},
      {"<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n```", false},
      {"```json\n[{\"name\": \"now\", \"arguments\": {}}, {\"name\": \"weather\", \"arguments\": "
       "{\"city\": \"x\", \"days\": 2}}]\n```",
       true},
      {"```json\n[{\"name\": \"now\", \"arguments\": {}}\n```", false},
      {"````json{\"name\":\"weather\",\"arguments\":{\"days\":1}}", false},
  };
  for (const auto& c : kCases) EXPECT_EQ(Matches(grammar, c.text), c.good) << c.text;
}

TEST(ReplyGrammarTest, ThoughtsComeFirstAndAreFree) {
  const auto tools = WeatherTools();
  const CallTrigger trigger(tools, true);
  const auto open = MayCall(tools, trigger, ReplyLimits::Thought::kOpen);
  const std::string call = "```json\n{\"name\": \"now\", \"arguments\": {}}\n```";
  const std::string bad = "```json\n{\"name\": \"now\", 7}\n```";
  EXPECT_TRUE(Matches(open, ">a < b </thin" + bad + "<</think>\n\n" + call));
  EXPECT_TRUE(Matches(open, "></think>Hi"));
  EXPECT_FALSE(Matches(open, ">never ends"));
  EXPECT_FALSE(Matches(open, ">a</t hink>Hi"));
  EXPECT_FALSE(Matches(open, "></think>" + bad));
  const auto skipped = MayCall(tools, trigger, ReplyLimits::Thought::kSkipped);
  EXPECT_TRUE(Matches(skipped, ">\n" + call));
  EXPECT_FALSE(Matches(skipped, call));
  const auto json = GrammarOfReply({.thought = ReplyLimits::Thought::kOpen,
                                    .format = {OutputFormat::Kind::kJson, "", "response_format"}});
  EXPECT_TRUE(Matches(json, ">hm</think>\n{\"a\": 1}"));
  EXPECT_FALSE(Matches(json, ">hm</think>\nyes"));
}

TEST(ReplyGrammarTest, AFormatTakesThePlaceOfText) {
  const auto tools = WeatherTools();
  const CallTrigger trigger(tools, false);
  const auto grammar = MayCall(tools, trigger, ReplyLimits::Thought::kNone,
                               {OutputFormat::Kind::kRegex, "yes|no", "regex"});
  EXPECT_TRUE(Matches(grammar, "yes"));
  EXPECT_TRUE(Matches(grammar, "```json\n{\"name\": \"now\", \"arguments\": {}}\n```"));
  EXPECT_FALSE(Matches(grammar, "maybe"));
  EXPECT_FALSE(Matches(grammar, "``yes"));
  EXPECT_FALSE(Matches(grammar, ""));
}

TEST(ReplyGrammarTest, NothingIsLimitedUnlessItIsAsked) {
  EXPECT_EQ(GrammarOfReply({}), nullptr);
  EXPECT_EQ(GrammarOfReply({.thought = ReplyLimits::Thought::kOpen}), nullptr);
}

TEST(ReplyGrammarTest, RefusesWhatCannotBeHeldAndNamesTheField) {
  const auto refused = [](const ReplyLimits& limits) -> std::string {
    try {
      GrammarOfReply(limits);
    } catch (const RequestError& error) {
      return std::to_string(error.status()) + " " + error.param();
    }
    return "";
  };
  EXPECT_EQ(refused({.format = {OutputFormat::Kind::kGbnf, "root ::= x", "grammar"}}),
            "400 grammar");
  EXPECT_EQ(refused({.format = {OutputFormat::Kind::kRegex, "(", "regex"}}), "400 regex");
  EXPECT_EQ(refused({.format = {OutputFormat::Kind::kJsonSchema, R"({"type":"thing"})", "schema"}}),
            "400 schema");
  std::vector<ChatTool> tools = {{.name = "f", .parameters = R"({"type":"thing"})"}};
  EXPECT_EQ(refused({.calls = ReplyLimits::Calls::kMust, .tools = tools}), "");
  tools[0].strict = true;
  EXPECT_EQ(refused({.calls = ReplyLimits::Calls::kMust, .tools = tools}), "400 tools");
}

// Whatever a model writes under the grammar, its calls are read as the grammar meant them.
TEST(ReplyGrammarTest, EveryCallWrittenIsACallRead) {
  const auto tools = WeatherTools();
  std::mt19937 random(11);
  size_t calls = 0;
  for (int round = 0; round < 300; ++round) {
    const bool lists = round % 2 == 0;
    const auto grammar =
        GrammarOfReply({.calls = ReplyLimits::Calls::kMust, .tools = tools, .lists = lists});
    const auto [whole, text] = RandomText(Constraint(grammar, TestTrie()), random, 0.5);
    if (!whole) continue;  // too long
    const ReplyForm form{.start = ReplyForm::Start::kCall};
    ChatCollector events;
    ReplyReader reader(form, 0, events);
    reader.Push(text, {});
    reader.Finish();
    ASSERT_GT(reader.calls(), 0u) << text;
    EXPECT_TRUE(reader.calls_complete()) << text;
    EXPECT_TRUE(lists || reader.calls() == 1) << text;
    const Json written = Json::parse(text);
    const Json& list = written.is_array() ? written : Json::array({written});
    ASSERT_EQ(list.size(), reader.calls());
    for (size_t i = 0; i < list.size(); ++i) {
      const ChatCall& call = events.replies()[0].message.calls[i];
      EXPECT_EQ(call.name, list[i]["name"]);
      EXPECT_EQ(Json::parse(call.arguments), list[i]["arguments"]);
      EXPECT_TRUE(call.name != "weather" || list[i]["arguments"]["city"].is_string()) << text;
      ++calls;
    }
  }
  EXPECT_GT(calls, 100u);
}

}  // namespace
}  // namespace linnet
