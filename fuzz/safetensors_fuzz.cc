// safetensors files, their vocabulary, and the indexes of sharded files (which begin with a brace).
#include <cstddef>
#include <cstdint>

#include "base/check.h"
#include "fuzz_target.h"
#include "io/container.h"
#include "io/deflated_text.h"
#include "io/shard_index.h"
#include "linnet/error.h"
#include "read_all.h"

LINNET_FUZZ_TARGET(safetensors) {
  using namespace linnet;  // NOLINT
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (size != 0 && data[0] == '{') {
      ReadShardIndex(AsText(bytes), "input");
    } else {
      ReadAllTensors(bytes);
      const TensorFile file = TensorFile::Parse(bytes, "input");
      const TensorView* text = file.Find("vocabulary");
      if (text == nullptr || text->type != SourceType::kU8) return;
      constexpr size_t kMost = 1 << 16;
      LINNET_CHECK(InflateText({text->data, text->elements()}, kMost, "input").size() <= kMost);
    }
  } catch (const Error&) {
  }
}
