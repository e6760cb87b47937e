// Errors of requests in OpenAI's form: {"error":{"message","type","param","code"}}.
#ifndef LINNET_SERVER_OPENAI_ERRORS_H_
#define LINNET_SERVER_OPENAI_ERRORS_H_

#include <exception>
#include <string>

#include "linnet/error.h"

namespace linnet {

// A request that cannot be answered. `param` names the field at fault, as `messages[1].role`;
// `code` is a word for programs, as `model_not_found`. Both may be empty.
class RequestError : public Error {
 public:
  RequestError(int status, const std::string& message, std::string param = "",
               std::string code = "");

  int status() const noexcept { return status_; }  // of HTTP: 400, 404, 405, 409, 413, 422, 501
  const std::string& param() const noexcept { return param_; }
  const std::string& code() const noexcept { return code_; }

 private:
  int status_;
  std::string param_, code_;
};

// What an HTTP answer says about an error.
struct ErrorAnswer {
  int status = 500;
  std::string message;
  std::string body;     // JSON, with the message
  int retry_after = 0;  // seconds, for the header Retry-After; 0: none
};

// RequestError by its own status, other linnet::Errors by their kind: kBadInput 400, kBadState 422,
// kBusy 429, kNoMemory 503, the rest 500. Of a 500 and of any other exception the message is hidden
// from the client, since it may name files.
ErrorAnswer AnswerOf(const std::exception& error);

// {"error":{…}} as text.
std::string ErrorBody(int status, const std::string& message, const std::string& param = "",
                      const std::string& code = "");

}  // namespace linnet

#endif  // LINNET_SERVER_OPENAI_ERRORS_H_
