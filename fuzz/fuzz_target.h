// Fuzz targets are functions of one program, which libFuzzer or replay_main.cc runs under the name
// of the target: compiled and linked one by one they would take minutes.
#ifndef LINNET_FUZZ_FUZZ_TARGET_H_
#define LINNET_FUZZ_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

using FuzzTarget = void (*)(const uint8_t* data, size_t size);

// Lists a target before main() begins. Returns true.
bool AddFuzzTarget(const char* name, FuzzTarget target);

// The target after which the program is named: `path` ends in NAME_fuzz. Throws
// std::invalid_argument if none is.
FuzzTarget FuzzTargetOf(const char* path);

}  // namespace linnet

// Defines the target `name`, with a body that reads the input `data` of `size` bytes.
#define LINNET_FUZZ_TARGET(name)                                                                 \
  static void name##Target(const uint8_t* data, size_t size);                                    \
  [[maybe_unused]] static const bool name##Added = ::linnet::AddFuzzTarget(#name, name##Target); \
  static void name##Target(const uint8_t* data, size_t size)

#endif  // LINNET_FUZZ_FUZZ_TARGET_H_
