// Items of /v1/responses: parts of a conversation as clients send them, as they are kept, and as
// messages that the model reads.
#ifndef LINNET_SERVER_RESPONSE_ITEMS_H_
#define LINNET_SERVER_RESPONSE_ITEMS_H_

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "server/json_fields.h"
#include "text/chat_messages.h"

namespace linnet {

// "resp_" and 48 random hex digits, which nobody can guess.
std::string NewResponseId();
// The id of an item of that response: `prefix` ("msg", "rs", "fc"), the digits of the response, and
// its place among the inputs or the outputs.
std::string ItemId(std::string_view prefix, std::string_view response, bool output, size_t index);
// The response that an id made by ItemId belongs to; empty for other ids.
std::string ResponseOfItem(std::string_view item);

// The items of `input`, a text or a list (null: no items), in the form that is kept: each with a
// type and an id, content as parts. Items of tools that do not exist here are left out. A reference
// to another item stays one. Throws RequestError naming the item at fault.
Json ParseItems(const Json* input, const std::string& response);

// Puts items in place of references: what `find` returns for an id; null if it knows none, then
// throws RequestError 404. `known`: items that the conversation has already, references to which
// are dropped.
void ResolveItems(Json& items, std::span<const Json> known,
                  const std::function<Json(const std::string& id)>& find);

// A conversation of kept items. Thoughts, text and calls that follow one another are one message of
// the assistant.
std::vector<ChatMessage> MessagesOf(std::span<const Json> items);

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSE_ITEMS_H_
