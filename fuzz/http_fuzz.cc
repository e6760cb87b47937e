// Requests as a client may send them: reading must not crash, hold more than its limits allow, or
// depend on how the bytes were divided; and what is accepted must be safe to log and to answer.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/is_utf8.h"
#include "fuzz_target.h"
#include "http/access_log.h"
#include "http/http.h"
#include "http/reply_head.h"
#include "http/request_reader.h"
#include "http/request_rules.h"

namespace {

using linnet::RequestReader;

void Require(bool condition) {
  if (!condition) std::abort();
}

const linnet::HttpLimits& Limits() {
  static const linnet::HttpLimits limits = [] {
    linnet::HttpLimits small;
    small.header_bytes = 2000;
    small.body_bytes = 3000;
    return small;
  }();
  return limits;
}

const linnet::RequestRules& Rules() {
  static const linnet::RequestRules rules = [] {
    linnet::HttpOptions options;
    options.allowed_hosts = {"example.com"};
    options.cors_origins = {"https://a.com"};
    return linnet::RequestRules(options);
  }();
  return rules;
}

// Every header line that a reply repeats of a request.
void CheckHead(const linnet::RequestHead& head) {
  Require(head.target.find_first_of(std::string_view("\r\n\0 ", 4)) == std::string::npos);
  for (const auto& [name, value] : head.headers) {
    Require(!name.empty());
    Require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  if (const auto target = linnet::ParseTarget(head.target)) {
    Require(linnet::IsUtf8(target->path) && !target->path.empty());
    linnet::HttpRequest request;
    request.query = target->query;
    if (const auto value = request.QueryValue("a")) Require(linnet::IsUtf8(*value));
  }
  const auto refusal = Rules().Check(head, false);
  if (refusal) Require(linnet::IsUtf8(refusal->message));
  const std::string cors = Rules().CorsHeaders(head);
  const linnet::HttpHeaders more = Rules().PreflightHeaders(head);
  linnet::ReplyHead reply;
  reply.cors = cors;
  reply.more = &more;
  reply.length = 0;
  const std::string text = linnet::FormatHead(reply);
  Require(text.find("\r\n\r\n") == text.size() - 4);
  linnet::LoggedRequest logged;
  logged.id = linnet::IsSaneId(head.Header("x-request-id")) ? head.Header("x-request-id") : "id";
  logged.method = head.method;
  logged.path = head.target;
  for (const auto format : {linnet::HttpLogFormat::kText, linnet::HttpLogFormat::kJson}) {
    const std::string line = linnet::LogLine(format, logged, {});
    Require(line.find('\n') == std::string::npos && linnet::IsUtf8(line));
  }
  linnet::IsTraceparent(head.Header("traceparent"));
  linnet::IsTextType(head.Header("content-type"));
}

struct Outcome {
  std::vector<std::string> requests;
  int refused = 0;
};

Outcome ReadInPieces(std::string_view bytes, size_t size) {
  RequestReader reader(Limits());
  Outcome outcome;
  while (!bytes.empty()) {
    reader.Append(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
    for (bool more = true; more;) {
      switch (reader.Next()) {
        case RequestReader::Event::kMore:
          more = false;
          break;
        case RequestReader::Event::kHead:
          CheckHead(reader.head());
          break;
        case RequestReader::Event::kDone: {
          std::string body = reader.TakeBody();
          Require(body.size() <= Limits().body_bytes);
          outcome.requests.push_back(reader.head().method + " " + reader.head().target + " " +
                                     body);
          reader.Reset();
          break;
        }
        case RequestReader::Event::kBad:
          outcome.refused = reader.refusal().status;
          Require(outcome.refused >= 400 && outcome.refused < 600);
          Require(linnet::IsUtf8(reader.refusal().message));
          Require(reader.Next() == RequestReader::Event::kBad);
          return outcome;
      }
    }
    Require(reader.body_bytes() <= Limits().body_bytes);
    Require(reader.buffered() <= Limits().header_bytes + 16);
  }
  return outcome;
}

}  // namespace

LINNET_FUZZ_TARGET(http) {
  if (size < 2) return;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const Outcome whole = ReadInPieces(bytes, bytes.size());
  const Outcome pieces = ReadInPieces(bytes, size_t{data[0]} + 1);
  // A piece may be refused before what follows it, or waited for, but never read otherwise.
  const size_t common = std::min(whole.requests.size(), pieces.requests.size());
  for (size_t i = 0; i < common; ++i) Require(whole.requests[i] == pieces.requests[i]);
  if (whole.refused == 0 && pieces.refused == 0) {
    Require(whole.requests.size() == pieces.requests.size());
  }
}
