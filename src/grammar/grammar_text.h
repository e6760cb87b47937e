// GrammarText: reads the text of a grammar character by character and tells places in it.
#ifndef LINNET_GRAMMAR_GRAMMAR_TEXT_H_
#define LINNET_GRAMMAR_GRAMMAR_TEXT_H_

#include <cstddef>
#include <string>
#include <string_view>

namespace linnet {

// Keeps references to text and name. Not thread-safe.
class GrammarText {
 public:
  // Groups within groups, so that recursive readers need little stack.
  static constexpr size_t kDeepest = 150;
  // Of a repetition; more would need too many states.
  static constexpr uint32_t kMostRepeats = 1'000'000;

  // Throws Error kBadInput if the text is not UTF-8 or too long.
  GrammarText(std::string_view text, const std::string& name);

  bool done() const { return at_ == text_.size(); }
  char peek(size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  bool StartsWith(std::string_view start) const { return text_.substr(at_).starts_with(start); }
  void Skip(size_t bytes) { at_ += bytes; }
  // Skips `start` if the text goes on with it.
  bool Take(std::string_view start);
  // The next character. There must be one.
  char32_t Next();
  // The characters from here that `belongs` holds for, all ASCII.
  template <class Belongs>
  std::string_view TakeWhile(const Belongs& belongs) {
    const size_t begin = at_;
    while (!done() && belongs(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  // A number of `digits` hexadecimal digits. Throws if there are fewer, or if it is no character.
  char32_t TakeHex(size_t digits);
  // Decimal digits, at most kMostRepeats.
  uint32_t TakeCount();

  size_t at() const { return at_; }
  void GoTo(size_t at) { at_ = at; }
  std::string_view From(size_t begin) const { return text_.substr(begin, at_ - begin); }

  // Throws Error kBadInput "name:line:column: what", of the current place or of `at`.
  [[noreturn]] void Fail(const std::string& what) const { FailAt(at_, what); }
  [[noreturn]] void FailAt(size_t at, const std::string& what) const;
  // What is at the current place, for messages.
  std::string Found() const;

 private:
  std::string_view text_;
  const std::string& name_;
  size_t at_ = 0;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_GRAMMAR_TEXT_H_
