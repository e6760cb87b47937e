#include "eval/answer_filters.h"

#include <fmt/format.h>

#include <vector>

#include "eval/python_regex.h"
#include "linnet/error.h"

namespace linnet {
namespace {

std::string OptionText(const TaskJson& step, const char* name, const char* otherwise) {
  return step.contains(name) ? PythonString(step[name]) : otherwise;
}

// The match of number group_select, its first group that is not empty if it has any.
std::string Extracted(const TaskJson& step, const std::string& answer) {
  const std::string fallback = OptionText(step, "fallback", "[invalid]");
  const auto matches =
      PythonRegex(OptionText(step, "regex_pattern", "#### (\\-?[0-9\\.\\,]+)")).FindAll(answer);
  const TaskJson number = step.contains("group_select") ? step["group_select"] : TaskJson(0);
  if (!number.is_number_integer())
    throw Error(ErrorKind::kBadInput, "group_select of a filter is not a number");
  int64_t at = number.get<int64_t>();
  if (at < 0) at += static_cast<int64_t>(matches.size());
  if (matches.empty() || at < 0 || at >= static_cast<int64_t>(matches.size())) return fallback;
  for (const std::string& group : matches[static_cast<size_t>(at)]) {
    if (!group.empty() || matches[static_cast<size_t>(at)].size() == 1) return Strip(group);
  }
  return fallback;
}

}  // namespace

std::string FilterAnswer(const TaskFilter& filter, const std::string& answer) {
  std::string text = answer;
  for (const TaskJson& step : filter.steps) {
    const std::string name = PythonString(step["function"]);
    if (name == "take_first" || name == "take_first_k" || name == "majority_vote")
      continue;  // of one answer
    if (name == "remove_whitespace")
      text = Strip(text);
    else if (name == "lowercase")
      text = PythonLower(text);
    else if (name == "uppercase")
      text = PythonUpper(text);
    else if (name == "regex")
      text = Extracted(step, text);
    else if (name == "map") {
      const TaskJson words =
          step.contains("mapping_dict") ? step["mapping_dict"] : TaskJson::object();
      text = words.is_object() && words.contains(text) ? PythonString(words[text])
                                                       : OptionText(step, "default_value", "None");
    } else {
      throw Error(ErrorKind::kBadInput,
                  fmt::format("filter {}: the function {} is not known here", filter.name, name));
    }
  }
  return text;
}

}  // namespace linnet
