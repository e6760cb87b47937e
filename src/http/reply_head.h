// ReplyHead: the bytes of a reply: its status line and headers, chunks, and errors as JSON.
#ifndef LINNET_HTTP_REPLY_HEAD_H_
#define LINNET_HTTP_REPLY_HEAD_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "http/http.h"

namespace linnet {

struct ReplyHead {
  int status = 200;
  std::string_view content_type;  // empty: none
  std::optional<size_t> length;   // nullopt: a stream
  bool keep_alive = true;
  bool http_10 = false;               // a stream ends with its connection, without chunks
  std::string_view request_id;        // empty: none
  std::string_view cors;              // header lines
  const HttpHeaders* more = nullptr;  // bytes that a header may not have are left out
};

// The status line, all headers and the empty line.
std::string FormatHead(const ReplyHead& head);

// Appends one chunk; nothing for an empty one, which would end the stream.
void AppendChunk(std::string& out, std::string_view bytes);

// "Not Found"; "Unknown" for a status without a name.
std::string_view StatusName(int status);

// A status below 200, 204 and 304 have no body.
bool HasBody(int status);

// Between quotes. Bytes that are no UTF-8 become U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace linnet

#endif  // LINNET_HTTP_REPLY_HEAD_H_
