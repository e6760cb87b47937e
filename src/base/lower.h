// Lower: for case-insensitive words.
#ifndef LINNET_BASE_LOWER_H_
#define LINNET_BASE_LOWER_H_

#include <cctype>
#include <string>

namespace linnet {

// ASCII letters in lower case, other bytes unchanged.
inline std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

}  // namespace linnet

#endif  // LINNET_BASE_LOWER_H_
