// safetensors files, their vocabulary, and the indexes of sharded files (which begin with a brace).
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "io/container.h"
#include "io/deflated_text.h"
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
      const TensorFile file = TensorFile::Parse(bytes, "input");
      const TensorView* text = file.Find("vocabulary");
      if (text == nullptr || text->type != SourceType::kU8) return 0;
      constexpr size_t kMost = 1 << 16;
      LINNET_CHECK(InflateText({text->data, text->elements()}, kMost, "input").size() <= kMost);
    }
  } catch (const Error&) {
  }
  return 0;
}
