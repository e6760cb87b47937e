// Sniff: detects the container from a file's first bytes, or explains in one line what it is
// instead.
#ifndef LINNET_IO_SNIFF_H_
#define LINNET_IO_SNIFF_H_

#include <cstdint>

#include "io/container.h"

namespace linnet {

enum class Container : uint8_t { kSafetensors, kTorchZip, kTorchLegacy, kGguf, kGgmf };

// Throws Error kBadModel that says what the file is (empty, a web page, a git-lfs pointer, an
// archive …), what was expected, and what to do.
Container Sniff(const FileBytes& file);

}  // namespace linnet

#endif  // LINNET_IO_SNIFF_H_
