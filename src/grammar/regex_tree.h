// RegexTree: a regular expression as read, before it is added to rules.
#ifndef LINNET_GRAMMAR_REGEX_TREE_H_
#define LINNET_GRAMMAR_REGEX_TREE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/char_set.h"

namespace linnet {

// A value; not thread-safe while it is changed.
struct RegexTree {
  enum class Kind : uint8_t { kChars, kSequence, kChoice, kRepeat, kBegin, kEnd };
  struct Node {
    Kind kind;
    bool anchored = false;  // ^ or $ is in it
    size_t at = 0;          // in the text
    CharSet chars{};
    std::vector<uint32_t> parts{};  // indices of nodes
    uint32_t least = 1, most = 1;
  };

  // Throws Error kBadInput "name:line:column: …".
  RegexTree(std::string_view regex, const std::string& name);

  std::vector<Node> nodes;
  uint32_t root;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_REGEX_TREE_H_
