#include "engine/state_store_blob.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <string_view>

#include "io/tensor_file.h"
#include "linnet/error.h"
#include "models/state_file.h"

namespace linnet {
namespace {

static_assert(std::endian::native == std::endian::little, "blobs are little-endian");

constexpr std::string_view kMagic = "linnet state";
constexpr uint32_t kBlobVersion = 1;
constexpr int kLevel = 1;  // of zstd
enum Encoding : uint32_t { kAsIs = 0, kPlanes = 1 };

struct Fixed {
  char magic[12];
  uint32_t version;
  uint32_t encoding;
  uint32_t reserved;  // 0
  uint64_t tokens;
  uint64_t state_bytes;    // decoded
  uint64_t payload_bytes;  // in the file
  Digest identity, owner;
};
static_assert(sizeof(Fixed) == kBlobFixed);

[[noreturn]] void Bad(const std::string& what) {
  throw Error(ErrorKind::kBadState, "a kept state " + what + "; it is dropped");
}

Digest DigestOf(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.Add(bytes);
  return hash.Finish();
}

Digest DigestOf(const Digest& head, std::span<const std::byte> payload) {
  Sha256 hash;
  hash.Add(head);
  hash.Add(payload);
  return hash.Finish();
}

// The first bytes of all floats, then the second ones …: exponents, which are alike, side by side.
// What does not fill a float stays behind.
std::vector<std::byte> ToPlanes(std::span<const std::byte> bytes) {
  const size_t n = bytes.size() / 4;
  std::vector<std::byte> planes(bytes.size());
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < 4; ++k) planes[k * n + i] = bytes[4 * i + k];
  }
  std::copy(bytes.begin() + static_cast<ptrdiff_t>(4 * n), bytes.end(),
            planes.begin() + static_cast<ptrdiff_t>(4 * n));
  return planes;
}

std::vector<std::byte> FromPlanes(std::span<const std::byte> planes) {
  const size_t n = planes.size() / 4;
  std::vector<std::byte> bytes(planes.size());
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < 4; ++k) bytes[4 * i + k] = planes[k * n + i];
  }
  std::copy(planes.begin() + static_cast<ptrdiff_t>(4 * n), planes.end(),
            bytes.begin() + static_cast<ptrdiff_t>(4 * n));
  return bytes;
}

Fixed ReadFixed(std::span<const std::byte> bytes) {
  Fixed fixed;
  if (bytes.size() < sizeof fixed) Bad("was cut");
  std::memcpy(&fixed, bytes.data(), sizeof fixed);
  if (std::string_view(fixed.magic, sizeof fixed.magic) != kMagic) Bad("is another kind of file");
  if (fixed.version != kBlobVersion) {
    Bad(fmt::format("has version {}, this program reads {}", fixed.version, kBlobVersion));
  }
  return fixed;
}

}  // namespace

std::vector<std::byte> CompressedFloats(std::span<const std::byte> bytes) {
  std::vector<std::byte> packed(ZSTD_compressBound(bytes.size()));
  const auto planes = ToPlanes(bytes);
  const size_t size =
      ZSTD_compress(packed.data(), packed.size(), planes.data(), planes.size(), kLevel);
  if (ZSTD_isError(size) || size > bytes.size() - bytes.size() / 20) return {};
  packed.resize(size);
  return packed;
}

std::vector<std::byte> DecompressedFloats(std::span<const std::byte> payload, size_t bytes) {
  std::vector<std::byte> planes(bytes);
  const size_t size = ZSTD_decompress(planes.data(), planes.size(), payload.data(), payload.size());
  if (ZSTD_isError(size) || size != bytes) {
    throw Error(ErrorKind::kBadState, "a state cannot be decompressed");
  }
  return FromPlanes(planes);
}

uint64_t MostStateBytes(const StateShape& shape, size_t tokens, size_t logits) {
  constexpr uint64_t kHeader = uint64_t{1} << 16, kTensorHeader = 256;
  // Twice, for the layers of the reference's list that a small model does not have.
  return kHeader + 2 * (shape.floats() * sizeof(float) + shape.layers * 16 * kTensorHeader) +
         tokens * (shape.token_bytes() + sizeof(int32_t)) + logits * sizeof(float);
}

std::vector<std::byte> EncodeBlob(const BlobKey& key, const State& state) {
  std::vector<std::byte> raw = SavedBytes(state);
  Fixed fixed{};
  std::copy(kMagic.begin(), kMagic.end(), fixed.magic);
  fixed.version = kBlobVersion;
  fixed.tokens = key.tokens.size();
  fixed.state_bytes = raw.size();
  fixed.identity = key.identity;
  fixed.owner = key.owner;
  std::vector<std::byte> payload = CompressedFloats(raw);
  fixed.encoding = payload.empty() ? kAsIs : kPlanes;
  if (payload.empty()) payload = std::move(raw);
  fixed.payload_bytes = payload.size();

  const auto text = std::as_bytes(std::span(key.tokens));
  std::vector<std::byte> bytes(sizeof fixed + text.size() + payload.size() + 2 * sizeof(Digest));
  std::byte* end = bytes.data();
  const auto add = [&](std::span<const std::byte> part) {
    end = std::copy(part.begin(), part.end(), end);
  };
  add(std::as_bytes(std::span(&fixed, 1)));
  add(text);
  const Digest head = DigestOf(std::span(bytes).first(sizeof fixed + text.size()));
  add(head);
  add(payload);
  add(DigestOf(head, payload));
  return bytes;
}

size_t BlobHeadBytes(std::span<const std::byte> bytes, uint64_t file_bytes) {
  const Fixed fixed = ReadFixed(bytes);
  if (fixed.tokens == 0) Bad("is that of no text");
  constexpr uint64_t kOther = sizeof fixed + 2 * sizeof(Digest);
  if (file_bytes < kOther || fixed.tokens > (file_bytes - kOther) / sizeof(int32_t) ||
      fixed.payload_bytes != file_bytes - kOther - fixed.tokens * sizeof(int32_t)) {
    Bad(fmt::format("has {} bytes, which is not the size that it states", file_bytes));
  }
  return sizeof fixed + fixed.tokens * sizeof(int32_t) + sizeof(Digest);
}

BlobKey ReadBlobHead(std::span<const std::byte> head) {
  const Fixed fixed = ReadFixed(head);
  if (head.size() < sizeof fixed + sizeof(Digest) ||
      head.size() - sizeof fixed - sizeof(Digest) != fixed.tokens * sizeof(int32_t)) {
    Bad("was cut");
  }
  const auto digest = head.last(sizeof(Digest));
  const Digest expected = DigestOf(head.first(head.size() - sizeof(Digest)));
  if (!std::equal(digest.begin(), digest.end(), expected.begin())) Bad("is damaged");
  BlobKey key{fixed.identity, fixed.owner, std::vector<int32_t>(fixed.tokens)};
  const auto text = head.subspan(sizeof fixed, fixed.tokens * sizeof(int32_t));
  std::copy(text.begin(), text.end(), std::as_writable_bytes(std::span(key.tokens)).begin());
  return key;
}

State DecodeBlob(std::span<const std::byte> bytes, const BlobKey& key, const StateShape& shape) {
  const size_t head_bytes = BlobHeadBytes(bytes, bytes.size());
  const auto head = bytes.first(head_bytes);
  if (ReadBlobHead(head) != key) Bad("is that of another text");
  const auto payload = bytes.subspan(head_bytes, bytes.size() - head_bytes - sizeof(Digest));
  Digest head_digest;
  std::copy(head.end() - sizeof(Digest), head.end(), head_digest.begin());
  const Digest expected = DigestOf(head_digest, payload);
  const auto digest = bytes.last(sizeof(Digest));
  if (!std::equal(digest.begin(), digest.end(), expected.begin())) Bad("is damaged");

  const Fixed fixed = ReadFixed(bytes);
  if (fixed.encoding > kPlanes || fixed.reserved != 0) Bad("has an unknown encoding");
  if (fixed.state_bytes > MostStateBytes(shape, key.tokens.size())) Bad("is too large");
  std::vector<std::byte> raw;
  if (fixed.encoding == kPlanes) raw = DecompressedFloats(payload, fixed.state_bytes);
  const auto saved = fixed.encoding == kPlanes ? std::span<const std::byte>(raw) : payload;
  try {
    return ReadState(TensorFile::Parse(saved, "a kept state"), shape);
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadState, error.what());
  }
}

uint64_t MostBlobBytes(const StateShape& shape, size_t tokens) {
  return MostStateBytes(shape, tokens) + tokens * sizeof(int32_t) + kBlobFixed + 2 * sizeof(Digest);
}

}  // namespace linnet
