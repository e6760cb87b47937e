// Key files: a bad one is an Error, and a good one finds no key that it does not hold.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "fuzz_target.h"
#include "http/api_keys.h"
#include "linnet/error.h"

LINNET_FUZZ_TARGET(key_file) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    linnet::ApiKeys keys;
    keys.Parse(text, "keys", false);
    if (keys.empty()) std::abort();
    keys.Find(text);
  } catch (const linnet::Error&) {
    // Refused, as it should be.
  }
}
