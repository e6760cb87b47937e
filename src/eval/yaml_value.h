// YAML as JSON values, with the types that Python's YAML reader gives plain words.
#ifndef LINNET_EVAL_YAML_VALUE_H_
#define LINNET_EVAL_YAML_VALUE_H_

#include <string>
#include <vector>

#include "eval/python_text.h"

namespace linnet {

// The documents of a text. A value with the tag `!function NAME` is the object {"!function": NAME}.
// `name` is what messages call the text. Throws Error kBadInput with the line of what is wrong, for
// other tags, and for aliases that make a text grow out of all proportion.
std::vector<TaskJson> ParseYaml(const std::string& text, const std::string& name);

inline constexpr const char* kFunctionKey = "!function";

}  // namespace linnet

#endif  // LINNET_EVAL_YAML_VALUE_H_
