// The tree of a Template.
#ifndef LINNET_EVAL_TEMPLATE_NODES_H_
#define LINNET_EVAL_TEMPLATE_NODES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "eval/template.h"

namespace linnet {

enum class TemplateOp : uint8_t {
  // Expressions. `parts` are the operands; for those that are not given, kNothing.
  kNothing,
  kLiteral,
  kName,
  kList,
  kDict,       // key, value, key, value
  kAttribute,  // of parts[0]; `text` is the name
  kIndex,
  kSlice,
  kMethod,  // parts[0].text(arguments)
  kFunction,
  kFilter,
  kTest,     // value is text
  kUnary,    // text is "not", "-" or "+"
  kBinary,   // text is the operator
  kCompare,  // parts[0] op parts[1] op parts[2] ...; `names` are the operators
  kIf,       // parts: condition, then, else
  // Statements. `parts` are expressions, `bodies` blocks of statements.
  kText,
  kOutput,
  kIfBlock,  // a body more than there are conditions: else
  kFor,      // names in parts[0] if parts[1]; bodies: each, else
  kSet,      // names = parts[0]
  kBlock,
};

struct Template::Node {
  TemplateOp op = TemplateOp::kNothing;
  std::string text{};
  TaskJson value{};
  std::vector<Node> parts{};
  std::vector<std::string> names{};  // also: keywords of the last parts of a call
  std::vector<std::vector<Node>> bodies{};
};

// Throws Error kBadInput with the line of what cannot be read.
Template::Node ParseTemplate(std::string_view text);
// An expression on its own.
Template::Node ParseExpression(std::string_view text);

// Positional and named arguments of a call, after the value that it is applied to.
struct TemplateArguments {
  std::vector<TaskJson> values{};
  std::vector<std::pair<std::string, TaskJson>> named{};

  // The argument at this place or of this name; null if it is not given.
  const TaskJson& At(size_t place, std::string_view name = {}) const;
  bool Has(size_t place, std::string_view name = {}) const;
};

// What a value is to copy, in small values: one for itself, one for each 32 bytes of text, and what
// it holds. Throws Error kBadInput if it is nested over 1000 deep.
size_t TemplateWeight(const TaskJson& value, size_t depth = 0);

// Elements, keys or characters. Throws Error kBadInput, beginning with `who`, for anything else.
TaskJson TemplateList(const TaskJson& value, const std::string& who);

// Throw Error kBadInput if there is no function of that name for that type, and rather than make
// a text over kLongestText.
TaskJson CallMethod(const TaskJson& value, const std::string& name, const TemplateArguments& given);
TaskJson CallFilter(const TaskJson& value, const std::string& name, const TemplateArguments& given);
TaskJson CallFunction(const std::string& name, const TemplateArguments& given);
// `value` is nullptr for a name that is not defined.
bool CallTest(const TaskJson* value, const std::string& name, const TemplateArguments& given);
TaskJson CallOperator(const std::string& op, const TaskJson& left, const TaskJson& right);
bool IsTrue(const TaskJson& value);
// The element of a list or string, or the value of a key; nullopt if there is none.
std::optional<TaskJson> ElementOf(const TaskJson& value, const TaskJson& key);

}  // namespace linnet

#endif  // LINNET_EVAL_TEMPLATE_NODES_H_
