// The passages of a text are in order, within their size, and hold all that is no blank.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "fuzz_target.h"
#include "text/passages.h"

LINNET_FUZZ_TARGET(passages) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto is_blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  for (const size_t most : {4, 31, 800}) {
    size_t end = 0;
    const auto check_gap = [&](size_t to) {
      const auto gap = text.substr(end, to - end);
      LINNET_CHECK(std::all_of(gap.begin(), gap.end(), is_blank));
    };
    for (const linnet::Passage& p : linnet::SplitPassages(text, most)) {
      LINNET_CHECK(p.begin >= end && p.bytes > 0 && p.bytes <= most);
      LINNET_CHECK(p.begin + p.bytes <= text.size());
      check_gap(p.begin);
      end = p.begin + p.bytes;
    }
    check_gap(text.size());
  }
}
