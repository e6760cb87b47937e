#include "io/quoted.h"

#include <cstddef>
#include <cstdint>

namespace linnet {

std::string Quoted(std::string_view name) {
  constexpr size_t kMost = 80;
  std::string out(name.substr(0, kMost));
  for (char& c : out) {
    if (c < ' ' || c > '~') c = '?';
  }
  if (name.size() > kMost) out += "...";
  return out;
}

}  // namespace linnet
