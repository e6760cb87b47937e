// Base64 (RFC 4648), as JSON carries bytes.
#ifndef LINNET_BASE_BASE64_H_
#define LINNET_BASE_BASE64_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet {

// One line with padding. At most 1 GiB.
std::string Base64(std::span<const std::byte> bytes);
// nullopt for anything but one line with padding.
std::optional<std::vector<std::byte>> ParseBase64(std::string_view text);

}  // namespace linnet

#endif  // LINNET_BASE_BASE64_H_
