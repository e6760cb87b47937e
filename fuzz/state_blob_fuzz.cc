// State blobs. The first byte selects the model that the state is read for; if it is odd, the
// digests are made right, so that what they protect is tested too.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <span>
#include <vector>

#include "engine/state_store_blob.h"
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

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using linnet::Generation;
  static const linnet::StateShape kModels[] = {{Generation::k4, 1, 4, 1, 4, ""},
                                               {Generation::k7, 2, 4, 1, 4, "0123456789abcdef"},
                                               {Generation::k7b, 1, 4, 1, 4, ""}};
  if (size == 0) return 0;
  std::vector<std::byte> bytes(size - 1);
  std::memcpy(bytes.data(), data + 1, size - 1);
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
  return 0;
}
