// Sha256: the hash of identities. Nobody can make two inputs of one value, as with Fnv.
#ifndef LINNET_BASE_SHA256_H_
#define LINNET_BASE_SHA256_H_

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace linnet {

using Digest = std::array<std::byte, 32>;

// The same bytes give the same digest, however they are divided among calls of Add.
class Sha256 {
 public:
  // Throws Error kBadInput if OpenSSL is set up without SHA-256.
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void Add(std::span<const std::byte> bytes);
  void Add(std::string_view text) { Add(std::as_bytes(std::span(text))); }
  // Of all bytes so far; the next Add begins a new input.
  Digest Finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

Digest Sha256Of(std::string_view text);

// HMAC (RFC 2104) with SHA-256: only who has the key can make it. `key` is not empty.
// Throws Error kBadInput if OpenSSL is set up without it.
Digest HmacSha256(std::span<const std::byte> key, std::span<const std::byte> bytes);
// In a time that does not depend on where they differ.
bool SameDigest(std::span<const std::byte> a, const Digest& b);

// 64 hex digits, and back; nullopt if `text` is anything else.
std::string Hex(const Digest& digest);
std::optional<Digest> ParseDigest(std::string_view text);

}  // namespace linnet

#endif  // LINNET_BASE_SHA256_H_
