// AnthropicRequest: a request of Anthropic's Messages API as a ChatRequest.
#ifndef LINNET_SERVER_ANTHROPIC_REQUEST_H_
#define LINNET_SERVER_ANTHROPIC_REQUEST_H_

#include <string_view>

#include "server/chat_request.h"
#include "server/json_fields.h"

namespace linnet {

struct AnthropicRequest {
  ChatRequest chat{};
  bool hides_thoughts = false;  // thinking blocks are answered without their text
};

// A request of /v1/messages or /v1/messages/count_tokens. Throws RequestError naming the field.
//
// Blocks: text, documents and search results of text, thinking (shown to no model), tool_use and
// tool_result; those of tools that do not exist here are left out, images refused. A message of
// role `system` stays where it stands. Tools that Anthropic hosts are left out. Thinking is off
// unless it is asked for. All fields of ParseGeneration are read as well.
AnthropicRequest ParseAnthropic(const Json& body);

// A system text without the lines `x-anthropic-NAME: …` at its start. Claude Code writes such a
// line with a value that differs in each request, so that no two prompts would begin alike.
std::string_view WithoutHeaderLines(std::string_view system);

}  // namespace linnet

#endif  // LINNET_SERVER_ANTHROPIC_REQUEST_H_
