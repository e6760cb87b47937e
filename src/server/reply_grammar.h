// GrammarOfReply: what a reply may be, if a request limits it: JSON, calls of functions, or both,
// after thoughts.
#ifndef LINNET_SERVER_REPLY_GRAMMAR_H_
#define LINNET_SERVER_REPLY_GRAMMAR_H_

#include <cstdint>
#include <memory>
#include <span>

#include "grammar/grammar.h"
#include "server/call_trigger.h"
#include "server/chat_request.h"
#include "text/chat_messages.h"

namespace linnet {

struct ReplyLimits {
  // What the prompt began of a thought.
  enum class Thought : uint8_t {
    kNone,
    kOpen,     // "<think": the reply goes on with it and ends it
    kSkipped,  // "<think>\n</think": the reply first closes the tag
  };
  enum class Calls : uint8_t {
    kNone,
    kMay,   // wherever the trigger finds one; the reply ends after it
    kMust,  // the reply is the JSON of calls, whose fence is in the prompt
  };
  Thought thought = Thought::kNone;
  Calls calls = Calls::kNone;
  std::span<const ChatTool> tools{};     // that may be called
  const CallTrigger* trigger = nullptr;  // of kMay
  bool lists = false;                    // several calls
  OutputFormat format{};                 // of text
};

// The grammar, or null if nothing is limited. A call is bound by the schema of its function; if a
// function is not strict and its schema has keywords that are not supported, by any object. Throws
// RequestError 400 that names the field whose schema or grammar is refused.
std::shared_ptr<const Grammar> GrammarOfReply(const ReplyLimits& limits);

// Equal if the grammars are.
std::string KeyOf(const ReplyLimits& limits);

}  // namespace linnet

#endif  // LINNET_SERVER_REPLY_GRAMMAR_H_
