// Fuzzes Template: parsing and rendering, and values in Python's notation.
#include <cstdint>
#include <string_view>

#include "eval/template.h"
#include "fuzz_target.h"
#include "linnet/error.h"

LINNET_FUZZ_TARGET(template) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const linnet::TaskJson row = {{"question", "What is  it? "},
                                       {"choices", {{"text", {"a", "b"}}, {"label", {"A", "B"}}}},
                                       {"answers", {{{"atext", "one"}}, {{"atext", "zwei ß"}}}},
                                       {"label", 1},
                                       {"list", {"b", "A", 2.5, nullptr}}};
  try {
    linnet::Template(text).Render(row);
  } catch (const linnet::Error&) {
  }
  try {
    // What was read is printed, and read again, as the same value.
    const linnet::TaskJson value = linnet::ParsePythonValue(text);
    const linnet::TaskJson again = linnet::ParsePythonValue(linnet::PythonRepr(value));
    if (linnet::PythonRepr(again) != linnet::PythonRepr(value)) __builtin_trap();
  } catch (const linnet::Error&) {
  }
}
