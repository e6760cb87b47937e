#include "server/openai_errors.h"

#include <utility>

#include "http/http.h"
#include "server/json_fields.h"

namespace linnet {
namespace {

constexpr int kRetrySeconds = 2;  // the time of some hundred tokens

int StatusOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kBadInput:
      return 400;
    case ErrorKind::kBadState:
      return 422;
    case ErrorKind::kBusy:
      return 429;
    case ErrorKind::kNoMemory:
      return 503;
    default:
      return 500;
  }
}

}  // namespace

RequestError::RequestError(int status, const std::string& message, std::string param,
                           std::string code)
    : Error(ErrorKind::kBadInput, message),
      status_(status),
      param_(std::move(param)),
      code_(std::move(code)) {}

std::string ErrorBody(int status, const std::string& message, const std::string& param,
                      const std::string& code) {
  const auto word = [](const std::string& text) {
    return text.empty() ? OrderedJson() : OrderedJson(text);
  };
  return Dump(OrderedJson{{"error",
                           {{"message", message},
                            {"type", ErrorTypeOf(status)},
                            {"param", word(param)},
                            {"code", word(code)}}}});
}

ErrorAnswer AnswerOf(const std::exception& error) {
  if (const auto* request = dynamic_cast<const RequestError*>(&error)) {
    return {request->status(),
            ErrorBody(request->status(), error.what(), request->param(), request->code())};
  }
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    const int status = StatusOf(known->kind());
    const bool later = status == 429 || status == 503;
    if (status != 500) {
      return {status, ErrorBody(status, error.what(), "", status == 429 ? "busy" : ""),
              later ? kRetrySeconds : 0};
    }
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return {503, ErrorBody(503, "not enough memory for this request"), kRetrySeconds};
  }
  return {500, ErrorBody(500, "the server could not answer; its log says why")};
}

}  // namespace linnet
