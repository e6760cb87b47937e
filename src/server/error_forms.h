// ErrorForm: errors in the words of the API whose path was called.
#ifndef LINNET_SERVER_ERROR_FORMS_H_
#define LINNET_SERVER_ERROR_FORMS_H_

#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "http/http.h"
#include "server/openai_errors.h"

namespace linnet {

enum class ErrorForm : uint8_t {
  kOpenAi,     // {"error":{"message","type","param","code"}}
  kAnthropic,  // {"type":"error","error":{"type","message"},"request_id"}
  kOllama,     // {"error":"message"}
};

// Of /v1/messages… Anthropic's, of Ollama's routes below /api Ollama's, of all others OpenAI's.
ErrorForm ErrorFormOf(std::string_view path);

// The body of an error in that form.
std::string ErrorText(ErrorForm form, const ErrorAnswer& answer, std::string_view request_id);

// What the transport answers for a request that it refuses (HttpOptions::error_body).
std::string RefusalText(const HttpRefusal& refusal);

// Sends AnswerOf(error) in the form of the request's path, with Retry-After if it has one.
void SendErrorTo(const HttpRequest& request, HttpReply& reply, const std::exception& error,
                 HttpHeaders headers = {});

}  // namespace linnet

#endif  // LINNET_SERVER_ERROR_FORMS_H_
