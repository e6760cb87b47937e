// Whether bytes are UTF-8.
#ifndef LINNET_BASE_IS_UTF8_H_
#define LINNET_BASE_IS_UTF8_H_

#include <string_view>

namespace linnet {

// Without overlong forms, surrogates and values above U+10FFFF.
bool IsUtf8(std::string_view text);

}  // namespace linnet

#endif  // LINNET_BASE_IS_UTF8_H_
