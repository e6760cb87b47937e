// CallTrigger: finds where a call of a function begins in what the model writes.
#ifndef LINNET_SERVER_CALL_TRIGGER_H_
#define LINNET_SERVER_CALL_TRIGGER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_messages.h"

namespace linnet {

// A call begins with a fence ```json or a tag <tool_call>, either of them also after
// `**Tool Call:**`, and a JSON object whose first key is "name" with the name of a known function,
// or a list of such objects. Anything else, also other JSON in a fence, is text.
//
// A finite automaton over bytes, so that the same rule is a grammar: state 0 is text in which
// nothing has begun. Immutable.
class CallTrigger {
 public:
  static constexpr size_t kAll = SIZE_MAX;

  struct Edge {
    char byte;
    uint32_t to;
    // How many of the last bytes, with this one, may still be the beginning of a call; kAll: those
    // held so far and this one.
    size_t held = kAll;
  };
  // Bytes without an edge lead to state 0.
  struct State {
    std::vector<Edge> edges{};
    int tool = -1;         // the call of this function begins: its name has just been closed
    bool is_list = false;  // in a list of calls
    bool is_tag = false;   // ends with </tool_call> instead of a fence
  };

  // `lists`: several calls may be in a list.
  CallTrigger(std::span<const ChatTool> tools, bool lists);

  const std::vector<State>& states() const { return states_; }
  // The edge for a byte; null leads to state 0 and holds nothing.
  const Edge* Find(uint32_t state, char byte) const;

 private:
  uint32_t NewState();
  void Add(uint32_t from, char byte, uint32_t to, size_t held = kAll);
  uint32_t Spell(uint32_t from, std::string_view word, uint32_t last);
  void AddBlanks(uint32_t state);
  void AddJson(uint32_t after, bool is_tag, bool is_list, std::span<const ChatTool> tools);
  void AddRestarts();

  std::vector<State> states_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_CALL_TRIGGER_H_
