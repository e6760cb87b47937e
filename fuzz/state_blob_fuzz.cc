// State blobs. The first byte selects the model that the state is read for; if it is odd, the
// digests are made right, so that what they protect is tested too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <vector>

#include "engine/state_store_blob.h"
#include "fuzz_target.h"
#include "linnet/error.h"

namespace {

using linnet::Digest;

void Sign(std::span<std::byte> bytes, size_t at, size_t begin) {
  linnet::Sha256 hash;
  hash.Add(bytes.subspan(begin, at - begin));
  const Digest digest = hash.Finish();
  std::copy(digest.begin(), digest.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

}  // namespace

LINNET_FUZZ_TARGET(state_blob) {
  using linnet::Generation;
  static const linnet::StateShape kModels[] = {{Generation::k4, 1, 4, 1, 4, ""},
                                               {Generation::k7, 2, 4, 1, 4, "0123456789abcdef"},
                                               {Generation::k7b, 1, 4, 1, 4, ""}};
  if (size == 0) return;
  const auto input = std::as_bytes(std::span(data, size)).subspan(1);
  std::vector<std::byte> bytes(input.begin(), input.end());
  linnet::BlobKey key;
  try {
    const size_t head = linnet::BlobHeadBytes(bytes, bytes.size());
    if (data[0] % 2 == 1) {
      Sign(bytes, head - sizeof(Digest), 0);
      Sign(bytes, bytes.size() - sizeof(Digest), head - sizeof(Digest));
    }
    key = linnet::ReadBlobHead(std::span(bytes).first(head));
    linnet::DecodeBlob(bytes, key, kModels[data[0] / 2 % std::size(kModels)]);
  } catch (const linnet::Error&) {
  }
}
