// PythonRegex: regular expressions as Python's `re` reads them, by PCRE2.
#ifndef LINNET_EVAL_PYTHON_REGEX_H_
#define LINNET_EVAL_PYTHON_REGEX_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// Immutable; one thread at a time. Matching is bounded: a pattern that backtracks too much is an
// Error kBadInput that names it.
class PythonRegex {
 public:
  // Throws Error kBadInput with the place of what is wrong.
  explicit PythonRegex(const std::string& pattern);
  ~PythonRegex();
  PythonRegex(PythonRegex&&) noexcept;
  PythonRegex& operator=(PythonRegex&&) noexcept;

  // re.findall: for each match its groups, or the whole match if the pattern has none.
  std::vector<std::vector<std::string>> FindAll(std::string_view text) const;
  // re.sub, with \1 or \g<1> in `to` for a group. Throws Error kBadInput for a group that is not
  // there, and once the result is over kLongestText.
  std::string Replace(std::string_view text, std::string_view to) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_EVAL_PYTHON_REGEX_H_
