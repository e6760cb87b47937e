#include "server/reply_grammar.h"

#include <fmt/format.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "grammar/json_schema.h"
#include "grammar/json_text.h"
#include "grammar/regex.h"
#include "grammar/rules.h"
#include "grammar/syntaxes.h"
#include "server/openai_errors.h"

namespace linnet {
namespace {

using Id = Rules::Id;

constexpr uint32_t kMostListedCalls = 32;  // in a list
constexpr uint32_t kMostBlanks = 16;       // between parts of a reply

class ReplyRules {
 public:
  explicit ReplyRules(const ReplyLimits& limits) : limits_(limits), json_(rules_) {}

  std::shared_ptr<const Grammar> Make() {
    const bool calls = limits_.calls == ReplyLimits::Calls::kMust;
    Id reply = calls ? Calls() : TextOrCalls();
    if (limits_.thought == ReplyLimits::Thought::kOpen) {
      reply = rules_.Sequence({Thought(), Blanks(), reply});
    } else if (limits_.thought == ReplyLimits::Thought::kSkipped) {
      reply = rules_.Sequence({rules_.Bytes(">"), Blanks(), reply});
    }
    const uint32_t root = rules_.NewRule();
    rules_.SetRule(root, reply);
    return Grammar::FromRules(rules_, root);
  }

 private:
  Id Blanks() {
    CharSet blanks(' ', ' ');
    for (const char32_t c : {U'\n', U'\r', U'\t'}) blanks.Add(c, c);
    return rules_.Repeat(rules_.Chars(blanks), 0, kMostBlanks);
  }

  // Any text up to the first "</think>", with it.
  Id Thought() {
    constexpr std::string_view kClose = "</think>";
    std::vector<Rules::Edge> edges;
    // Node i + 2 is after the first i bytes of the tag. Node 0 begins, node 1 ends.
    const auto node = [](size_t i) { return static_cast<uint32_t>(i + 2); };
    edges.push_back({0, rules_.Empty(), node(0)});
    for (size_t i = 0; i < kClose.size(); ++i) {
      const auto next = static_cast<char32_t>(kClose[i]);
      edges.push_back({node(i), rules_.Char(next), i + 1 == kClose.size() ? 1 : node(i + 1)});
      CharSet others = CharSet::All().Minus(CharSet(next, next));
      if (next != U'<') {
        others = others.Minus(CharSet(U'<', U'<'));
        edges.push_back({node(i), rules_.Char(U'<'), node(1)});
      }
      edges.push_back({node(i), rules_.Chars(others), node(0)});
    }
    return rules_.Graph(node(kClose.size()), std::move(edges));
  }

  // The values of the arguments of a function.
  Id Arguments(size_t i) {
    if (const auto known = arguments_.find(i); known != arguments_.end()) {
      return rules_.Rule(known->second);
    }
    const ChatTool& tool = limits_.tools[i];
    uint32_t rule = 0;
    bool refused = tool.parameters.empty();
    if (!refused) {
      try {
        rule = ReadJsonSchema(tool.parameters, fmt::format("function {}", tool.name), rules_);
      } catch (const Error& error) {
        if (tool.strict) {
          throw RequestError(400, error.what(), "tools", "invalid_function_parameters");
        }
        refused = true;
      }
    }
    if (refused) {
      rule = rules_.NewRule();
      rules_.SetRule(rule, json_.AnyObject());
    }
    arguments_[i] = rule;
    return rules_.Rule(rule);
  }

  // The rest of a call after its name.
  Id AfterName(size_t tool) {
    return rules_.Sequence({json_.Comma(),
                            json_.Member(json_.Exactly("arguments"), Arguments(tool)),
                            json_.Close('}')});
  }

  Id Call() {
    std::vector<Id> calls;
    calls.reserve(limits_.tools.size());
    for (size_t i = 0; i < limits_.tools.size(); ++i) {
      const Id name = json_.Member(json_.Exactly("name"), json_.Exactly(limits_.tools[i].name));
      calls.push_back(rules_.Sequence({json_.Open('{'), name, AfterName(i)}));
    }
    return rules_.Choice(std::move(calls));
  }

  // The rest of a list after a call.
  Id AfterCall() {
    if (!after_call_) {
      after_call_ = rules_.NewRule();
      const Id more = rules_.Sequence({json_.Comma(), Call()});
      rules_.SetRule(*after_call_, rules_.Sequence({rules_.Repeat(more, 0, kMostListedCalls - 1),
                                                    json_.Close(']')}));
    }
    return rules_.Rule(*after_call_);
  }

  Id Calls() {
    const Id one = Call();
    if (!limits_.lists) return one;
    return rules_.Choice({one, rules_.Sequence({json_.Open('['), Call(), AfterCall()})});
  }

  // The text, or what the format asks for instead.
  Id Format() {
    const OutputFormat& format = limits_.format;
    try {
      switch (format.kind) {
        case OutputFormat::Kind::kText:
          return rules_.Repeat(rules_.Chars(CharSet::All()), 0, Rules::kNoLimit);
        case OutputFormat::Kind::kJson:
          return json_.AnyObject();
        case OutputFormat::Kind::kJsonSchema:
          return rules_.Rule(ReadJsonSchema(format.text, format.param, rules_));
        case OutputFormat::Kind::kGbnf:
          return rules_.Rule(ReadGbnf(format.text, format.param, rules_));
        case OutputFormat::Kind::kRegex:
          return AddRegex(format.text, format.param, RegexPlace::kWhole, Spelling::kPlain, rules_);
        case OutputFormat::Kind::kAi00Bnf:
          return rules_.Rule(ReadAi00Bnf(format.text, format.param, "start", rules_));
      }
    } catch (const RequestError&) {
      throw;
    } catch (const Error& error) {
      throw RequestError(400, error.what(), format.param, "invalid_schema");
    }
    return rules_.Nothing();
  }

  Id TextOrCalls() {
    if (limits_.calls == ReplyLimits::Calls::kNone) return Format();
    const bool text = limits_.format.kind == OutputFormat::Kind::kText;
    const Id calls = Triggered(text);
    return text ? calls : rules_.Choice({Format(), rules_.Sequence({Blanks(), calls})});
  }

  // The automaton of the trigger, then the call. With `text` any text may come before it, or
  // without it; otherwise only the bytes that lead straight to a call.
  Id Triggered(bool text) {
    const auto& states = limits_.trigger->states();
    const auto node = [](uint32_t state) { return state + 2; };
    std::vector<Rules::Edge> edges = {{0, rules_.Empty(), node(0)}};
    for (uint32_t i = 0; i < states.size(); ++i) {
      const CallTrigger::State& state = states[i];
      if (state.tool >= 0) {
        std::vector<Id> rest = {AfterName(static_cast<size_t>(state.tool))};
        if (state.is_list) rest.push_back(AfterCall());
        rest.push_back(rules_.Bytes(state.is_tag ? "\n</tool_call>" : "\n```"));
        edges.push_back({node(i), rules_.Sequence(std::move(rest)), 1});
        continue;
      }
      CharSet others = CharSet::All();
      for (const CallTrigger::Edge& edge : state.edges) {
        if (!text && edge.held != CallTrigger::kAll) continue;  // starts anew
        const auto c = static_cast<char32_t>(edge.byte);
        edges.push_back({node(i), rules_.Char(c), node(edge.to)});
        others = others.Minus(CharSet(c, c));
      }
      if (!text) continue;
      edges.push_back({node(i), rules_.Chars(others), node(0)});
      edges.push_back({node(i), rules_.Empty(), 1});
    }
    return rules_.Graph(node(static_cast<uint32_t>(states.size())), std::move(edges));
  }

  const ReplyLimits& limits_;
  Rules rules_;
  JsonText json_;
  std::map<size_t, uint32_t> arguments_;
  std::optional<uint32_t> after_call_;
};

}  // namespace

std::shared_ptr<const Grammar> GrammarOfReply(const ReplyLimits& limits) {
  if (limits.calls == ReplyLimits::Calls::kNone &&
      limits.format.kind == OutputFormat::Kind::kText) {
    return nullptr;
  }
  try {
    return ReplyRules(limits).Make();
  } catch (const RequestError&) {
    throw;
  } catch (const Error& error) {
    const bool calls = limits.calls != ReplyLimits::Calls::kNone;
    throw RequestError(400, error.what(), calls ? "tools" : limits.format.param, "invalid_schema");
  }
}

std::string KeyOf(const ReplyLimits& limits) {
  Json key = {static_cast<int>(limits.thought), static_cast<int>(limits.calls), limits.lists,
              static_cast<int>(limits.format.kind), limits.format.text};
  for (const ChatTool& tool : limits.tools) {
    key.push_back({tool.name, tool.parameters, tool.strict});
  }
  return Dump(key);
}

}  // namespace linnet
