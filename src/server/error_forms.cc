#include "server/error_forms.h"

#include <algorithm>
#include <utility>

#include "server/json_fields.h"

namespace linnet {
namespace {

// Below /api other programs have routes too.
constexpr std::string_view kOllamaRoutes[] = {"blobs",      "chat",     "copy", "create", "delete",
                                              "embed",      "generate", "ps",   "pull",   "push",
                                              "embeddings", "show",     "tags", "version"};

std::string_view AnthropicTypeOf(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

ErrorForm ErrorFormOf(std::string_view path) {
  constexpr std::string_view kMessages = "/v1/messages", kApi = "/api/";
  if (path.starts_with(kMessages)) {
    const std::string_view rest = path.substr(kMessages.size());
    return rest.empty() || rest.front() == '/' ? ErrorForm::kAnthropic : ErrorForm::kOpenAi;
  }
  if (!path.starts_with(kApi)) return ErrorForm::kOpenAi;
  const std::string_view rest = path.substr(kApi.size());
  const std::string_view name = rest.substr(0, rest.find('/'));
  const bool known = std::find(std::begin(kOllamaRoutes), std::end(kOllamaRoutes), name) !=
                     std::end(kOllamaRoutes);
  return known ? ErrorForm::kOllama : ErrorForm::kOpenAi;
}

std::string ErrorText(ErrorForm form, const ErrorAnswer& answer, std::string_view request_id) {
  switch (form) {
    case ErrorForm::kOpenAi:
      break;
    case ErrorForm::kAnthropic:
      return Dump(OrderedJson{
          {"type", "error"},
          {"error", {{"type", AnthropicTypeOf(answer.status)}, {"message", answer.message}}},
          {"request_id", request_id}});
    case ErrorForm::kOllama:
      return Dump(OrderedJson{{"error", answer.message}});
  }
  return answer.body;
}

std::string RefusalText(const HttpRefusal& refusal) {
  ErrorAnswer answer;
  answer.status = refusal.status;
  answer.message = refusal.message;
  answer.body = HttpErrorBody(refusal.message, refusal.type, refusal.code);
  const std::string_view path = refusal.target.substr(0, refusal.target.find('?'));
  return ErrorText(ErrorFormOf(path), answer, refusal.request_id);
}

void SendErrorTo(const HttpRequest& request, HttpReply& reply, const std::exception& error,
                 HttpHeaders headers) {
  const ErrorAnswer answer = AnswerOf(error);
  const ErrorForm form = ErrorFormOf(request.path);
  if (answer.retry_after > 0) {
    headers.emplace_back("retry-after", std::to_string(answer.retry_after));
  }
  if (form == ErrorForm::kAnthropic) headers.emplace_back("request-id", request.id);
  reply.Send(answer.status, ErrorText(form, answer, request.id), "application/json",
             std::move(headers));
}

}  // namespace linnet
