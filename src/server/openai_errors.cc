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
  const auto answer = [](int status, const std::string& message, const std::string& param = "",
                         const std::string& code = "") {
    return ErrorAnswer{.status = status,
                       .message = message,
                       .body = ErrorBody(status, message, param, code),
                       .retry_after = status == 429 || status == 503 ? kRetrySeconds : 0};
  };
  if (const auto* request = dynamic_cast<const RequestError*>(&error)) {
    ErrorAnswer refused =
        answer(request->status(), error.what(), request->param(), request->code());
    refused.retry_after = 0;
    return refused;
  }
  if (const auto* known = dynamic_cast<const Error*>(&error)) {
    const int status = StatusOf(known->kind());
    if (status != 500) return answer(status, error.what(), "", status == 429 ? "busy" : "");
  }
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) {
    return answer(503, "not enough memory for this request");
  }
  return answer(500, "the server could not answer; its log says why");
}

}  // namespace linnet
