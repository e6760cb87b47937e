#include "base/base64.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

namespace linnet {
namespace {

constexpr size_t kMostBytes = size_t{1} << 30;  // OpenSSL counts in int

bool IsDigit64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

}  // namespace

std::string Base64(std::span<const std::byte> bytes) {
  LINNET_CHECK(bytes.size() <= kMostBytes);
  std::string text(4 * ((bytes.size() + 2) / 3) + 1, '\0');  // with a final 0
  const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                     reinterpret_cast<const unsigned char*>(bytes.data()),
                                     static_cast<int>(bytes.size()));
  text.resize(static_cast<size_t>(length));
  return text;
}

std::optional<std::vector<std::byte>> ParseBase64(std::string_view text) {
  if (text.size() % 4 != 0 || text.size() / 4 > kMostBytes / 3) return std::nullopt;
  size_t padding = 0;
  while (padding < std::min<size_t>(text.size(), 2) && text[text.size() - 1 - padding] == '=') {
    ++padding;
  }
  const std::string_view digits = text.substr(0, text.size() - padding);
  if (!std::all_of(digits.begin(), digits.end(), IsDigit64)) return std::nullopt;
  std::vector<std::byte> bytes(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) return std::nullopt;
  bytes.resize(static_cast<size_t>(size) - padding);
  return bytes;
}

}  // namespace linnet
