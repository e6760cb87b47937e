#include "server/new_id.h"

#include <random>

namespace linnet {

std::string NewId(std::string_view prefix) {
  constexpr std::string_view kSigns =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  thread_local std::random_device device;
  std::uniform_int_distribution<size_t> sign(0, kSigns.size() - 1);
  std::string id(prefix);
  for (int i = 0; i < 24; ++i) id += kSigns[sign(device)];
  return id;
}

}  // namespace linnet
