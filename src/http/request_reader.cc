#include "http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

#include "base/lower.h"

namespace linnet {
namespace {

namespace beast_http = boost::beast::http;
using BeastError = boost::beast::error_code;
using BeastView = boost::beast::string_view;

std::string_view StdView(BeastView text) { return {text.data(), text.size()}; }

Refusal RefusalOf(const BeastError& error, const HttpLimits& limits) {
  if (error == beast_http::error::header_limit) {
    return {431,
            "the request line and headers take more than " + std::to_string(limits.header_bytes) +
                " bytes",
            "headers_too_large"};
  }
  if (error == beast_http::error::body_limit) {
    return {413,
            "the body takes more than " + std::to_string(limits.body_bytes) +
                " bytes, the most that this server accepts",
            "request_too_large"};
  }
  if (error == beast_http::error::bad_version) {
    return {505, "the request line has no version HTTP/1.0 or HTTP/1.1", ""};
  }
  return {400, "this is no HTTP/1.1 request: " + error.message(), ""};
}

}  // namespace

std::string_view RequestHead::Header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

size_t RequestHead::Count(std::string_view name) const {
  return static_cast<size_t>(std::count_if(headers.begin(), headers.end(),
                                           [&](const auto& pair) { return pair.first == name; }));
}

// Collects one request. Beast checks the syntax, the lengths and the limits.
class RequestReader::HeadAndBody : public beast_http::basic_parser<true> {
 public:
  explicit HeadAndBody(const HttpLimits& limits) : header_bytes_(limits.header_bytes) {
    header_limit(static_cast<uint32_t>(std::min<size_t>(limits.header_bytes, UINT32_MAX)));
    body_limit(limits.body_bytes);
  }

  RequestHead head;
  std::string body;
  bool head_complete = false;
  std::optional<Refusal> refusal;  // of what Beast lets pass

 private:
  void on_request_impl(beast_http::verb /*verb*/, BeastView method, BeastView target, int version,
                       BeastError& error) override {
    error = {};
    head.method = StdView(method);
    head.target = StdView(target);
    head.http_10 = version == 10;
  }
  void on_response_impl(int /*code*/, BeastView /*reason*/, int /*version*/,
                        BeastError& error) override {
    error = {};
  }
  void on_field_impl(beast_http::field field, BeastView name, BeastView value,
                     BeastError& error) override {
    error = {};
    if (head_complete) {  // a trailer, which is not kept
      trailer_bytes_ += name.size() + value.size() + 4;
      if (trailer_bytes_ > header_bytes_) error = make_error_code(beast_http::error::header_limit);
      return;
    }
    // Beast takes any list that ends in "chunked", and ignores others.
    if (field == beast_http::field::transfer_encoding && Lower(std::string(value)) != "chunked") {
      Refuse(501, "a transfer encoding other than chunked is not supported", error);
    }
    if (field == beast_http::field::expect) {
      head.expects_continue = Lower(std::string(value)) == "100-continue";
      if (!head.expects_continue) Refuse(417, "only 100-continue can be expected", error);
    }
    head.headers.emplace_back(Lower(std::string(name)), std::string(value));
  }
  void on_header_impl(BeastError& error) override {
    error = {};
    head_complete = true;
    head.keep_alive = keep_alive();
    if (const auto length = content_length()) head.content_length = *length;
    if (head.http_10 && chunked()) {
      Refuse(400, "HTTP/1.0 has no chunked bodies", error);
    }
    head.has_body = chunked() || head.content_length.value_or(0) > 0;
    head.expects_continue = head.expects_continue && head.has_body && !head.http_10;
  }
  // The announced length is not reserved: memory follows the bytes that came.
  void on_body_init_impl(const boost::optional<uint64_t>& /*length*/, BeastError& error) override {
    error = {};
  }
  std::size_t on_body_impl(BeastView bytes, BeastError& error) override {
    error = {};
    body.append(bytes.data(), bytes.size());
    return bytes.size();
  }
  void on_chunk_header_impl(uint64_t /*size*/, BeastView extensions, BeastError& error) override {
    error = {};
    if (extensions.size() > header_bytes_) {
      error = make_error_code(beast_http::error::header_limit);
    }
  }
  std::size_t on_chunk_body_impl(uint64_t /*rest*/, BeastView bytes, BeastError& error) override {
    return on_body_impl(bytes, error);
  }
  void on_finish_impl(BeastError& error) override { error = {}; }

  void Refuse(int status, const char* message, BeastError& error) {
    refusal = Refusal{status, message, ""};
    error = make_error_code(beast_http::error::bad_value);
  }

  const size_t header_bytes_;
  size_t trailer_bytes_ = 0;
};

struct RequestReader::Impl {
  explicit Impl(const HttpLimits& all) : limits(all) {}

  const HttpLimits& limits;
  std::optional<HeadAndBody> parser;  // of the request whose bytes have begun
  std::string input;                  // from `begin`: not yet parsed
  size_t begin = 0;
  bool told_head = false;
  Refusal refusal;
};

RequestReader::RequestReader(const HttpLimits& limits) : impl_(std::make_unique<Impl>(limits)) {}
RequestReader::~RequestReader() = default;

void RequestReader::Append(std::string_view bytes) {
  if (impl_->begin > 0) {
    impl_->input.erase(0, impl_->begin);
    impl_->begin = 0;
  }
  impl_->input += bytes;
}

RequestReader::Event RequestReader::Next() {
  Impl& in = *impl_;
  if (in.refusal.status != 0) return Event::kBad;
  if (!in.parser) {
    // Line ends between requests, as some clients send them, are skipped (RFC 9112, 2.2).
    while (in.begin < in.input.size() &&
           (in.input[in.begin] == '\r' || in.input[in.begin] == '\n')) {
      ++in.begin;
    }
    if (buffered() == 0) return Event::kMore;
    in.parser.emplace(in.limits);
  }
  HeadAndBody& parser = *in.parser;
  for (;;) {
    if (parser.head_complete && !in.told_head) {
      in.told_head = true;
      return Event::kHead;
    }
    if (parser.is_done()) return Event::kDone;
    if (buffered() == 0) break;
    BeastError error;
    const size_t used = parser.put(
        boost::asio::const_buffer(in.input.data() + in.begin, in.input.size() - in.begin), error);
    in.begin += used;
    if (error == beast_http::error::need_more) break;
    if (error) {
      in.refusal = parser.refusal ? *parser.refusal : RefusalOf(error, in.limits);
      return Event::kBad;
    }
  }
  // Beast wants a head, a chunk's extensions or the trailers in one piece.
  if (buffered() > in.limits.header_bytes + 16) {
    in.refusal = {431, "the headers of a chunk or the trailers are too long", "headers_too_large"};
    return Event::kBad;
  }
  if (buffered() == 0) {
    in.input = {};
    in.begin = 0;
  }
  return Event::kMore;
}

void RequestReader::Reset() {
  impl_->parser.reset();
  impl_->told_head = false;
  if (buffered() == 0) {
    impl_->input = {};
    impl_->begin = 0;
  }
}

RequestHead& RequestReader::head() {
  if (!impl_->parser) impl_->parser.emplace(impl_->limits);
  return impl_->parser->head;
}

std::string RequestReader::TakeBody() {
  return impl_->parser ? std::exchange(impl_->parser->body, {}) : std::string();
}

size_t RequestReader::body_bytes() const { return impl_->parser ? impl_->parser->body.size() : 0; }

size_t RequestReader::buffered() const { return impl_->input.size() - impl_->begin; }

bool RequestReader::idle() const { return !impl_->parser && buffered() == 0; }

bool RequestReader::done() const { return impl_->parser && impl_->parser->is_done(); }

const Refusal& RequestReader::refusal() const { return impl_->refusal; }

}  // namespace linnet
