// Dfa: a regular language by its deterministic automaton, for what expressions cannot say.
#ifndef LINNET_GRAMMAR_DFA_H_
#define LINNET_GRAMMAR_DFA_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "grammar/rules.h"

namespace linnet {

// Over bytes. A value; not thread-safe while it is changed. All that make one throw Error kBadInput
// if it needs too many states.
class Dfa {
 public:
  // The language of a rule, which must be regular.
  Dfa(const Rules& rules, uint32_t rule);
  // The language of the expression that `add` makes.
  static Dfa Of(const std::function<Rules::Id(Rules&)>& add);

  Dfa And(const Dfa& other) const;
  Dfa Minus(const Dfa& other) const;
  // The texts of which no shorter start belongs.
  Dfa Shortest() const;

  bool Contains(std::string_view text) const;
  bool empty() const;  // no text belongs
  Rules::Id AddTo(Rules& rules) const;

 private:
  Dfa() = default;
  uint32_t Next(uint32_t state, uint8_t byte) const {
    return next_[state * classes_ + class_of_[byte]];
  }
  template <class Belongs>
  Dfa Product(const Dfa& other, const Belongs& belongs) const;

  // State 0 leads nowhere; the text begins in state 1.
  std::array<uint8_t, 256> class_of_{};
  size_t classes_ = 1;
  std::vector<uint32_t> next_;
  std::vector<uint8_t> belongs_;  // the text may end there
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_DFA_H_
