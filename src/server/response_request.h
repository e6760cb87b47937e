// ResponseRequest: a request of /v1/responses.
#ifndef LINNET_SERVER_RESPONSE_REQUEST_H_
#define LINNET_SERVER_RESPONSE_REQUEST_H_

#include <string>

#include "server/chat_request.h"
#include "server/json_fields.h"

namespace linnet {

struct ResponseRequest {
  std::string id{};    // of the response
  ChatRequest chat{};  // without messages: they depend on what is stored
  std::string instructions{};
  Json items = Json::array();  // of `input`, as ParseItems returns them
  std::string previous{};      // previous_response_id
  std::string conversation{};  // its id
  bool store = true;
  bool background = false;
  // Fields that the response repeats, some of them null.
  Json echo = Json::object();
};

// `model`, `input` and all else may be missing: Codex probes a server with no input. Tools that do
// not exist here are left out. Throws RequestError naming the field.
ResponseRequest ParseResponse(const Json& body);

// The items before the request's own, its instructions and its own items, as messages.
std::vector<ChatMessage> MessagesFor(const ResponseRequest& request, std::span<const Json> before);

}  // namespace linnet

#endif  // LINNET_SERVER_RESPONSE_REQUEST_H_
