// safetensors files, and the indexes of sharded ones (which begin with a brace).
#include <cstddef>
#include <cstdint>

#include "io/container.h"
#include "io/shard_index.h"
#include "linnet/error.h"
#include "read_all.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace linnet;  // NOLINT
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (size != 0 && data[0] == '{') {
      ReadShardIndex(AsText(bytes), "input");
    } else {
      ReadAllTensors(bytes);
    }
  } catch (const Error&) {
  }
  return 0;
}
