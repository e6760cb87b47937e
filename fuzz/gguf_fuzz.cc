// GGUF files, their vocabularies, and rwkv.cpp's files.
#include <cstddef>
#include <cstdint>

#include "fuzz_target.h"
#include "io/gguf.h"
#include "linnet/error.h"
#include "read_all.h"

LINNET_FUZZ_TARGET(gguf) {
  using namespace linnet;  // NOLINT
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    ReadAllTensors(bytes);
  } catch (const Error&) {
  }
  if (AsText(bytes).substr(0, 4) == "GGUF") {
    try {
      ReadGgufVocabulary({bytes, "input"});
    } catch (const Error&) {
    }
  }
}
