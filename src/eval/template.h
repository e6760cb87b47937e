// Template: the part of Jinja that prompts of lm-evaluation-harness use.
#ifndef LINNET_EVAL_TEMPLATE_H_
#define LINNET_EVAL_TEMPLATE_H_

#include <memory>
#include <string>
#include <string_view>

#include "eval/python_text.h"

namespace linnet {

// Text with `{{ expression }}`, `{% if %}`, `{% for %}`, `{% set %}` and `{# comment #}`, rendered
// for one row. As in the harness, a name that the row does not have is an error, and line ends stay
// as they are. Of Python there are the methods of strings, lists and dicts that make sense for a
// row; of Jinja the filters and tests listed in template_functions.cc. Immutable: any number of
// threads may render at once.
class Template {
 public:
  // Throws Error kBadInput with the line of what cannot be read.
  explicit Template(std::string_view text);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  // `row` is an object. Throws Error kBadInput for a name that it does not have, an operation on
  // the wrong type, and a result or an amount of work that is out of all proportion.
  std::string Render(const TaskJson& row) const;

  struct Node;

 private:
  std::unique_ptr<Node> root_;
};

// ast.literal_eval: a string, number, True, False, None, list, tuple or dict in Python's notation.
// Throws Error kBadInput if it is anything else.
TaskJson ParsePythonValue(std::string_view text);

}  // namespace linnet

#endif  // LINNET_EVAL_TEMPLATE_H_
