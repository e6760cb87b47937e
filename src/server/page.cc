#include "server/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fnv.h"
#include "base/lower.h"
#include "server/page_files.h"
#include "text/gunzip.h"

namespace linnet {
namespace {

constexpr std::string_view kIndex = "/index.html";

// Scripts, styles and requests of this server only, nothing inline; and not in another page's
// frame. Strings become markup only through the sanitizer's policy.
constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types dompurify linnet";

std::string_view ContentTypeOf(std::string_view path) {
  constexpr std::pair<std::string_view, std::string_view> kTypes[] = {
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".txt", "text/plain; charset=utf-8"},
      {".svg", "image/svg+xml"},
      {".webmanifest", "application/manifest+json"}};
  for (const auto& [ending, type] : kTypes) {
    if (path.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

std::string_view TrimmedPart(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Calls `visit` with the parts of a header between commas, until it returns true.
template <class Visit>
bool AnyPart(std::string_view header, const Visit& visit) {
  while (!header.empty()) {
    const size_t comma = std::min(header.find(','), header.size());
    if (visit(TrimmedPart(header.substr(0, comma)))) return true;
    header.remove_prefix(std::min(comma + 1, header.size()));
  }
  return false;
}

void SendPageFile(const PageFile& file, const std::string& tag, const RouteCall& call) {
  const bool asset = file.path.starts_with("/assets/");
  HttpHeaders headers = {
      {"etag", tag},
      {"cache-control", asset ? "public, max-age=31536000, immutable" : "no-cache"},
      {"vary", file.path == kIndex ? "accept, accept-encoding" : "accept-encoding"},
      {"content-security-policy", kPolicy},
      {"referrer-policy", "no-referrer"},
      {"cross-origin-opener-policy", "same-origin"}};
  const bool known = AnyPart(call.request.Header("if-none-match"), [&](std::string_view part) {
    return part == tag || "W/" + std::string(part) == tag || part == "*";
  });
  const std::string_view type = ContentTypeOf(file.path);
  if (known) {
    call.reply->Send(304, "", type, std::move(headers));
    return;
  }
  if (AcceptsGzip(call.request.Header("accept-encoding"))) {
    headers.emplace_back("content-encoding", "gzip");
    call.reply->Send(200, {reinterpret_cast<const char*>(file.gzip.data()), file.gzip.size()}, type,
                     std::move(headers));
  } else {
    call.reply->Send(200, Gunzip(file.gzip), type, std::move(headers));
  }
}

bool AcceptsHtml(const HttpRequest& request) {
  return Lower(std::string(request.Header("accept"))).find("text/html") != std::string::npos;
}

}  // namespace

bool AcceptsGzip(std::string_view accept_encoding) {
  const std::string header = Lower(std::string(accept_encoding));
  std::optional<bool> named, any;
  AnyPart(header, [&](std::string_view part) {
    const size_t semicolon = std::min(part.find(';'), part.size());
    const std::string_view name = TrimmedPart(part.substr(0, semicolon));
    std::string_view weight = TrimmedPart(part.substr(std::min(semicolon + 1, part.size())));
    // q=0, q=0.0, q=0.000: not acceptable.
    bool allowed = true;
    if (weight.starts_with("q=")) allowed = weight.find_first_not_of("0.", 2) != weight.npos;
    if (name == "gzip" || name == "x-gzip") named = allowed;
    if (name == "*") any = allowed;
    return false;
  });
  return named.value_or(any.value_or(false));
}

std::vector<std::string> PagePaths() {
  std::vector<std::string> paths = {"/"};
  for (const PageFile& file : PageFiles()) {
    if (file.path != kIndex) paths.emplace_back(file.path);
  }
  return paths;
}

void AddPageRoutes(Router& router, std::string greeting) {
  std::optional<PageFile> index;
  const auto tag_of = [](const PageFile& file) {
    Fnv fnv;
    fnv.Add(file.gzip.data(), file.gzip.size());
    return fmt::format("W/\"{:016x}\"", fnv.value());  // weak: with and without gzip
  };
  for (const PageFile& file : PageFiles()) {
    if (file.path == kIndex) {
      index = file;
      continue;
    }
    router.Add("GET", file.path, [file, tag = tag_of(file)](const RouteCall& call) {
      SendPageFile(file, tag, call);
    });
  }
  router.Add("GET", "/",
             [index, tag = index ? tag_of(*index) : "",
              greeting = std::move(greeting)](const RouteCall& call) {
               if (index && AcceptsHtml(call.request)) {
                 SendPageFile(*index, tag, call);
               } else {
                 call.reply->Send(200, greeting, "text/plain; charset=utf-8", {{"vary", "accept"}});
               }
             });
}

}  // namespace linnet
