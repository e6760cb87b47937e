#include "eval/python_regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <array>
#include <cctype>
#include <functional>

#include "eval/python_text.h"
#include "linnet/error.h"
#include "text/utf8.h"

namespace linnet {
struct PythonRegex::Impl {
  std::string pattern;
  pcre2_code* code = nullptr;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* limits = nullptr;

  ~Impl() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(limits);
    pcre2_code_free(code);
  }

  // Calls f with the bounds of each match: begin and end of group g at 2g and 2g + 1.
  void ForMatches(const std::string& text,
                  const std::function<void(const size_t* bounds, size_t groups)>& f) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    size_t at = 0;
    uint32_t options = 0;
    while (at <= text.size()) {
      const int found = pcre2_match(code, subject, text.size(), at, options, match, limits);
      if (found == PCRE2_ERROR_NOMATCH) {
        if (options == 0) return;
        // After an empty match: the next character on.
        options = 0;
        at += at < text.size() ? NextUtf8(std::string_view(text).substr(at)).bytes : 1;
        continue;
      }
      if (found < 0) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("regular expression '{}' takes too long on a text of {} bytes",
                                pattern, text.size()));
      }
      const size_t* bounds = pcre2_get_ovector_pointer(match);
      if (bounds[0] > bounds[1]) return;  // \K in a lookahead
      f(bounds, pcre2_get_ovector_count(match) - 1);
      at = bounds[1];
      // Python also finds an empty match right after one, but not twice at the same place.
      options = bounds[0] == bounds[1] ? PCRE2_NOTEMPTY_ATSTART : 0;
    }
  }
};

namespace {

std::string GroupText(const std::string& text, const size_t* bounds, size_t group) {
  const size_t begin = bounds[2 * group], end = bounds[2 * group + 1];
  return begin == PCRE2_UNSET ? "" : text.substr(begin, end - begin);
}

}  // namespace

PythonRegex::PythonRegex(const std::string& pattern) : impl_(std::make_unique<Impl>()) {
  impl_->pattern = pattern;
  int error = 0;
  size_t place = 0;
  impl_->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &error, &place, nullptr);
  if (impl_->code == nullptr) {
    std::array<PCRE2_UCHAR, 256> why{};
    pcre2_get_error_message(error, why.data(), why.size());
    throw Error(ErrorKind::kBadInput,
                fmt::format("regular expression '{}': {} at byte {}", pattern,
                            reinterpret_cast<const char*>(why.data()), place));
  }
  impl_->match = pcre2_match_data_create_from_pattern(impl_->code, nullptr);
  impl_->limits = pcre2_match_context_create(nullptr);
  if (impl_->match == nullptr || impl_->limits == nullptr) throw std::bad_alloc();
  pcre2_set_match_limit(impl_->limits, 10'000'000);
  pcre2_set_heap_limit(impl_->limits, 64 * 1024);  // KiB
}

PythonRegex::~PythonRegex() = default;
PythonRegex::PythonRegex(PythonRegex&&) noexcept = default;
PythonRegex& PythonRegex::operator=(PythonRegex&&) noexcept = default;

std::vector<std::vector<std::string>> PythonRegex::FindAll(std::string_view text) const {
  const std::string valid = ValidUtf8(text);
  std::vector<std::vector<std::string>> out;
  impl_->ForMatches(valid, [&](const size_t* bounds, size_t groups) {
    std::vector<std::string> match;
    for (size_t g = groups == 0 ? 0 : 1; g <= groups; ++g) {
      match.push_back(GroupText(valid, bounds, g));
    }
    out.push_back(std::move(match));
  });
  return out;
}

std::string PythonRegex::Replace(std::string_view text, std::string_view to) const {
  const std::string valid = ValidUtf8(text);
  std::string out;
  size_t copied = 0;
  impl_->ForMatches(valid, [&](const size_t* bounds, size_t groups) {
    out += std::string_view(valid).substr(copied, bounds[0] - copied);
    copied = bounds[1];
    for (size_t i = 0; i < to.size(); ++i) {
      if (out.size() > kLongestText) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("regular expression '{}' makes too long a text", impl_->pattern));
      }
      if (to[i] != '\\' || i + 1 == to.size()) {
        out += to[i];
        continue;
      }
      const char next = to[++i];
      size_t group = SIZE_MAX;
      if (std::isdigit(static_cast<unsigned char>(next)) != 0) {
        group = static_cast<size_t>(next - '0');
      } else if (next == 'g' && i + 3 < to.size() && to[i + 1] == '<' && to[i + 3] == '>' &&
                 std::isdigit(static_cast<unsigned char>(to[i + 2])) != 0) {
        group = static_cast<size_t>(to[i + 2] - '0');
        i += 3;
      }
      if (group == SIZE_MAX) {
        out += next == 'n' ? '\n' : next == 't' ? '\t' : next;
      } else if (group <= groups) {
        out += GroupText(valid, bounds, group);
      } else {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("regular expression '{}' has no group {}", impl_->pattern, group));
      }
    }
  });
  return out += std::string_view(valid).substr(copied);
}

}  // namespace linnet
