// The fields that Ai00's requests have in common.
#ifndef LINNET_SERVER_AI00_FIELDS_H_
#define LINNET_SERVER_AI00_FIELDS_H_

#include <memory>
#include <string>

#include "engine/sequence.h"
#include "server/completion_request.h"
#include "server/json_fields.h"
#include "server/served_model.h"

namespace linnet {

// A text, or texts that are joined; empty if absent.
std::string Ai00Text(const Fields& body, const char* name);

// max_tokens, stop, bias, bnf_schema, stream, and sampler or sampler_override: Nucleus, Typical or
// Mirostat with Ai00's defaults. Typical's top_k is not used: its limit is tau. Throws
// RequestError.
CompletionRequest ParseAi00Generation(const Fields& body);

// The prompt of a chat, by Ai00's own template, whose parts a request can change (`template`, and
// `names` of the roles).
std::string Ai00ChatPrompt(const Fields& body);

// `state`: null without one or for the id of zeros; else {data, shape} in web-rwkv's layout. Other
// ids and paths are refused: nothing is kept here between requests. Throws RequestError, Error
// kBadState.
std::shared_ptr<const Snapshot> ParseAi00State(const Fields& body, const ServedModel& served);

}  // namespace linnet

#endif  // LINNET_SERVER_AI00_FIELDS_H_
