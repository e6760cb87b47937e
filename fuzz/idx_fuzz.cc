// Indexes of tokenized data: every document lies within the tokens.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/check.h"
#include "fuzz_target.h"
#include "linnet/error.h"
#include "train/token_data.h"

LINNET_FUZZ_TARGET(idx) {
  using namespace linnet;  // NOLINT
  try {
    const TokenIndex index(std::as_bytes(std::span(data, size)), "input");
    LINNET_CHECK(index.Begin(0) == 0 || index.documents() == 0);
    for (uint64_t i = 0; i < index.documents(); ++i) {
      LINNET_CHECK(index.Begin(i) <= index.Begin(i + 1));
    }
    LINNET_CHECK(index.Begin(index.documents()) == index.tokens());
  } catch (const Error&) {
  }
}
