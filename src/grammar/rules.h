// Rules: a grammar as rules of expressions; what every syntax is read into.
#ifndef LINNET_GRAMMAR_RULES_H_
#define LINNET_GRAMMAR_RULES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "grammar/char_set.h"

namespace linnet {

// An arena of expressions. Expressions are named by ids, so that they may share parts; an id is
// valid for the Rules that made it. All functions that make expressions throw Error kBadInput if
// there are too many of them. Not thread-safe.
class Rules {
 public:
  using Id = uint32_t;
  static constexpr uint32_t kNoLimit = ~uint32_t{0};

  enum class Kind : uint8_t {
    kNothing,  // matches no text
    kEmpty,    // matches the empty text
    kBytes,
    kByte,  // one byte of a range
    kChars,
    kSequence,
    kChoice,
    kRepeat,
    kGraph,
    kRule,
  };
  // What a path from node 0 to node 1 of a graph matches: its labels, one after another.
  struct Edge {
    uint32_t from;
    Id label;
    uint32_t to;
  };
  struct Expression {
    Kind kind;
    uint8_t low = 0, high = 0;     // kByte
    uint32_t least = 0, most = 0;  // kRepeat
    uint32_t index = 0;            // of bytes, chars, parts, edges or a rule
    uint32_t nodes = 0;            // kGraph
  };

  Rules();

  Id Nothing() const { return 0; }
  Id Empty() const { return 1; }
  Id Bytes(std::string_view bytes);
  Id Byte(uint8_t low, uint8_t high);
  Id Chars(const CharSet& set);
  Id Char(char32_t c) { return Chars(CharSet(c, c)); }
  Id Sequence(std::vector<Id> parts);
  Id Choice(std::vector<Id> parts);
  Id Repeat(Id part, uint32_t least, uint32_t most);
  Id Optional(Id part) { return Repeat(part, 0, 1); }
  // Node 0 is where it begins, node 1 where it ends.
  Id Graph(uint32_t nodes, std::vector<Edge> edges);

  uint32_t NewRule();  // matches nothing until it is set
  void SetRule(uint32_t rule, Id body) { bodies_[rule] = body; }
  Id Rule(uint32_t rule);
  size_t rules() const { return bodies_.size(); }
  Id body(uint32_t rule) const { return bodies_[rule]; }

  const Expression& at(Id id) const { return expressions_[id]; }
  size_t size() const { return expressions_.size(); }
  const std::string& bytes(const Expression& e) const { return bytes_[e.index]; }
  const CharSet& chars(const Expression& e) const { return *chars_[e.index]; }
  // Of a sequence or a choice; a repetition has one.
  const std::vector<Id>& parts(const Expression& e) const { return parts_[e.index]; }
  const std::vector<Edge>& edges(const Expression& e) const { return edges_[e.index]; }

 private:
  Id Add(const Expression& expression);
  Id RepeatInBlocks(Id part, uint32_t least, uint32_t most);

  std::vector<Expression> expressions_;
  std::vector<std::string> bytes_;
  std::map<CharSet, Id> char_ids_;
  std::vector<const CharSet*> chars_;  // keys of that map
  std::vector<std::vector<Id>> parts_;
  std::vector<std::vector<Edge>> edges_;
  std::vector<Id> bodies_;
  size_t total_ = 0;
};

}  // namespace linnet

#endif  // LINNET_GRAMMAR_RULES_H_
