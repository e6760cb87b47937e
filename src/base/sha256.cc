#include "base/sha256.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/check.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

// A context of its own, so that neither the system's nor the embedding program's configuration of
// OpenSSL matters. Kept until the program ends.
OSSL_LIB_CTX* OwnContext() {
  static OSSL_LIB_CTX* const context = OSSL_LIB_CTX_new();
  return context;
}

// Looked up once: fetching takes locks.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(OwnContext(), "SHA2-256", nullptr);
  if (algorithm == nullptr) {
    throw Error(ErrorKind::kBadInput, "OpenSSL offers no SHA-256; install its default provider");
  }
  return algorithm;
}

}  // namespace

struct Sha256::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  bool begun = false;
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
  Algorithm();
  if (impl_->context == nullptr) throw std::bad_alloc();
}

Sha256::~Sha256() = default;

void Sha256::Add(std::span<const std::byte> bytes) {
  if (!impl_->begun) LINNET_CHECK(EVP_DigestInit_ex(impl_->context, Algorithm(), nullptr) == 1);
  impl_->begun = true;
  LINNET_CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()) == 1);
}

Digest Sha256::Finish() {
  Add(std::span<const std::byte>());
  Digest digest;
  impl_->begun = false;
  LINNET_CHECK(EVP_DigestFinal_ex(impl_->context, reinterpret_cast<unsigned char*>(digest.data()),
                                  nullptr) == 1);
  return digest;
}

Digest Sha256Of(std::string_view text) {
  Sha256 hash;
  hash.Add(text);
  return hash.Finish();
}

Digest HmacSha256(std::span<const std::byte> key, std::span<const std::byte> bytes) {
  Digest digest;
  size_t size = 0;
  const auto* const made =
      EVP_Q_mac(OwnContext(), "HMAC", nullptr, "SHA2-256", nullptr, key.data(), key.size(),
                reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                reinterpret_cast<unsigned char*>(digest.data()), digest.size(), &size);
  if (made == nullptr || size != digest.size()) {
    throw Error(ErrorKind::kBadInput, "OpenSSL offers no HMAC; install its default provider");
  }
  return digest;
}

bool SameDigest(std::span<const std::byte> a, const Digest& b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), b.size()) == 0;
}

std::string Hex(const Digest& digest) {
  std::string text;
  for (const std::byte byte : digest) {
    text += kHexDigits[std::to_integer<size_t>(byte >> 4)];
    text += kHexDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

std::optional<Digest> ParseDigest(std::string_view text) {
  Digest digest;
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (size_t i = 0; i < digest.size(); ++i) {
    const size_t high = kHexDigits.find(text[2 * i]), low = kHexDigits.find(text[2 * i + 1]);
    if (high == kHexDigits.npos || low == kHexDigits.npos) return std::nullopt;
    digest[i] = static_cast<std::byte>(high << 4 | low);
  }
  return digest;
}

}  // namespace linnet
