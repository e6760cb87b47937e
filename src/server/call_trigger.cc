#include "server/call_trigger.h"

#include <algorithm>

namespace linnet {
namespace {

constexpr std::string_view kMark = "**Tool Call:**", kFence = "```json", kTag = "<tool_call>";
constexpr std::string_view kBlanks = " \t\r\n";
constexpr uint32_t kNone = 0;  // also the state of plain text

}  // namespace

CallTrigger::CallTrigger(std::span<const ChatTool> tools, bool lists) {
  NewState();
  const uint32_t fence = NewState(), tag = NewState(), mark = NewState();
  Spell(0, kFence, fence);
  Spell(0, kTag, tag);
  Spell(0, kMark, mark);
  AddBlanks(mark);
  // After the mark, the same words.
  Add(mark, kFence[0], Find(0, kFence[0])->to);
  Add(mark, kTag[0], Find(0, kTag[0])->to);
  for (const bool is_tag : {false, true}) {
    const uint32_t opened = is_tag ? tag : fence;
    AddBlanks(opened);
    AddJson(opened, is_tag, false, tools);
    if (!lists) continue;
    const uint32_t list = NewState();
    Add(opened, '[', list);
    AddBlanks(list);
    AddJson(list, is_tag, true, tools);
  }
  AddRestarts();
}

uint32_t CallTrigger::NewState() {
  states_.emplace_back();
  return static_cast<uint32_t>(states_.size() - 1);
}

void CallTrigger::Add(uint32_t from, char byte, uint32_t to, size_t held) {
  states_[from].edges.push_back({byte, to, held});
}

const CallTrigger::Edge* CallTrigger::Find(uint32_t state, char byte) const {
  for (const Edge& edge : states_[state].edges) {
    if (edge.byte == byte) return &edge;
  }
  return nullptr;
}

// Leads from a state by the bytes of a word to `last`, or to a new state if that is 0.
uint32_t CallTrigger::Spell(uint32_t from, std::string_view word, uint32_t last) {
  for (size_t i = 0; i < word.size(); ++i) {
    if (const Edge* edge = Find(from, word[i])) {
      from = edge->to;
      continue;
    }
    const bool ends = i + 1 == word.size() && last != kNone;
    const uint32_t to = ends ? last : NewState();
    Add(from, word[i], to);
    from = to;
  }
  return from;
}

void CallTrigger::AddBlanks(uint32_t state) {
  for (const char blank : kBlanks) Add(state, blank, state);
}

// `{"name": "NAME"` with any blanks between.
void CallTrigger::AddJson(uint32_t after, bool is_tag, bool is_list,
                          std::span<const ChatTool> tools) {
  const uint32_t object = Spell(after, "{", kNone);
  AddBlanks(object);
  const uint32_t key = Spell(object, "\"name\"", kNone);
  AddBlanks(key);
  const uint32_t colon = Spell(key, ":", kNone);
  AddBlanks(colon);
  const uint32_t name = Spell(colon, "\"", kNone);
  for (size_t i = 0; i < tools.size(); ++i) {
    State& begun = states_[Spell(name, tools[i].name + "\"", kNone)];
    begun.tool = static_cast<int>(i);
    begun.is_list = is_list;
    begun.is_tag = is_tag;
  }
}

// Where no call goes on, another may begin with this byte. Of a run of ` or * the last ones count.
void CallTrigger::AddRestarts() {
  for (uint32_t state = 0; state < states_.size(); ++state) {
    if (states_[state].tool >= 0) continue;
    for (const std::string_view word : {kFence, kTag, kMark}) {
      if (Find(state, word[0]) != nullptr) continue;
      uint32_t to = Find(0, word[0])->to;
      size_t held = 1;
      // How many of its first bytes are the same, and whether this state is after them.
      const size_t run = std::min(word.find_first_not_of(word[0]), word.size());
      uint32_t at = 0;
      for (size_t i = 0; i < run; ++i) at = Find(at, word[0])->to;
      if (state == at) {
        to = at;
        held = run;
      }
      Add(state, word[0], to, held);
    }
  }
}

}  // namespace linnet
