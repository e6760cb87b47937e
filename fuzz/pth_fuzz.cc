// .pth: zip archives, torch.save's format before 1.6, and bare pickles, without checksums.
#include <cstddef>
#include <cstdint>

#include "fuzz_target.h"
#include "io/container.h"
#include "io/pickle.h"
#include "io/torch_dict.h"
#include "linnet/error.h"
#include "read_all.h"

LINNET_FUZZ_TARGET(pth) {
  using namespace linnet;  // NOLINT
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (size != 0 && data[0] == 0x80 && !IsTorchLegacy(bytes)) {
      TensorsOf(ReadPickle(bytes, "input"), "input");
    } else {
      ReadAllTensors(bytes);
    }
  } catch (const Error&) {
  }
}
