// libFuzzer's entry points.
#include "fuzz_target.h"

namespace {
linnet::FuzzTarget target;
}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char*** argv) {
  target = linnet::FuzzTargetOf((*argv)[0]);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  target(data, size);
  return 0;
}
