// Fnv: the 64-bit FNV-1a hash, for identities and seeds. Not cryptographic.
#ifndef LINNET_BASE_FNV_H_
#define LINNET_BASE_FNV_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet {

// The same bytes give the same value, however they are divided among calls of Add.
class Fnv {
 public:
  void Add(const void* data, size_t bytes) {
    const auto* p = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < bytes; ++i) hash_ = (hash_ ^ p[i]) * 0x100000001b3u;
  }
  void Add(std::string_view text) { Add(text.data(), text.size()); }
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace linnet

#endif  // LINNET_BASE_FNV_H_
