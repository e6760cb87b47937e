// State blobs: the files in which a state cache keeps states; docs/state-cache.md has the format.
#ifndef LINNET_ENGINE_STATE_STORE_BLOB_H_
#define LINNET_ENGINE_STATE_STORE_BLOB_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/sha256.h"
#include "linnet/state.h"

namespace linnet {

// Whose state after which text.
struct BlobKey {
  Digest identity{};  // of the execution identity
  Digest owner{};     // of the owner's name
  std::vector<int32_t> tokens;

  bool operator==(const BlobKey&) const = default;
};

// The bytes of the file. Throws std::bad_alloc.
std::vector<std::byte> EncodeBlob(const BlobKey& key, const State& state);

// The state, bit for bit, if the bytes are what EncodeBlob made of this key and a state of this
// shape. Throws Error kBadState for anything else; the digest is checked before anything is used.
// Allocates at most a small multiple of the size of the bytes and of such a state.
State DecodeBlob(std::span<const std::byte> bytes, const BlobKey& key, const StateShape& shape);

// The most bytes that EncodeBlob makes of a state of this shape after so many tokens.
uint64_t MostBlobBytes(const StateShape& shape, size_t tokens);

// Bytes of floats, compressed; empty if that does not save a twentieth. And back: throws Error
// kBadState if they are not `bytes` bytes.
std::vector<std::byte> CompressedFloats(std::span<const std::byte> bytes);
std::vector<std::byte> DecompressedFloats(std::span<const std::byte> payload, size_t bytes);

// The most bytes of the file that State::Save writes of such a state, with `logits` floats.
uint64_t MostStateBytes(const StateShape& shape, size_t tokens, size_t logits = 0);

// The beginning of a file, up to the payload, says how long it is.
inline constexpr size_t kBlobFixed = 112;
// From the first kBlobFixed bytes: the bytes up to the payload. Throws Error kBadState, also if a
// file of `file_bytes` cannot be such a blob.
size_t BlobHeadBytes(std::span<const std::byte> fixed, uint64_t file_bytes);
// From that many bytes. Throws Error kBadState if they do not have their digest.
BlobKey ReadBlobHead(std::span<const std::byte> head);

}  // namespace linnet

#endif  // LINNET_ENGINE_STATE_STORE_BLOB_H_
