// GGUF files, their vocabularies, and rwkv.cpp's files.
#include <cstddef>
#include <cstdint>

#include "io/gguf.h"
#include "linnet/error.h"
#include "read_all.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
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
  return 0;
}
