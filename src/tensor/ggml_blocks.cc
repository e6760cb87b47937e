#include "tensor/ggml_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tensor/ggml_blocks-inl.h"

namespace linnet {

void DecodeGgml(GgmlBlock format, const std::byte* blocks, size_t begin, size_t count,
                float* out) noexcept {
  const size_t values = ValuesPerBlock(format), bytes = BytesPerBlock(format);
  blocks += begin / values * bytes;
  size_t skip = begin % values;
  while (count > 0) {
    if (skip == 0 && count >= values) {
      const size_t whole = count / values;
      HWY_STATIC_DISPATCH(DecodeBlocks)(format, blocks, whole, out);
      blocks += whole * bytes;
      out += whole * values;
      count -= whole * values;
      continue;
    }
    float block[kMaxBlockValues];
    HWY_STATIC_DISPATCH(DecodeBlocks)(format, blocks, 1, block);
    const size_t part = std::min(count, values - skip);
    std::copy_n(block + skip, part, out);
    blocks += bytes;
    out += part;
    count -= part;
    skip = 0;
  }
}

void EncodeQ8_0(const float* values, size_t count, std::byte* out) noexcept {
  for (size_t block = 0; block < count; block += 32, values += 32, out += 34) {
    float most = 0;
    for (size_t i = 0; i < 32; ++i) most = std::max(most, std::abs(values[i]));
    const float d = most / 127.0f, inverse = d != 0.0f ? 1.0f / d : 0.0f;
    const uint16_t half = F32ToF16(d);
    int8_t numbers[32];
    for (size_t i = 0; i < 32; ++i) {
      // NaN, and infinities, whose scale overflows: 0 keeps the conversion defined.
      const float scaled = std::round(values[i] * inverse);
      numbers[i] = std::abs(scaled) <= 127.0f ? static_cast<int8_t>(scaled) : int8_t{0};
    }
    std::memcpy(out, &half, sizeof(half));
    std::memcpy(out + 2, numbers, sizeof(numbers));
  }
}

}  // namespace linnet
