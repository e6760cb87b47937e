#include "cli/released_models.h"

#include "linnet/config.h"
#include "models/init.h"
#include "models/model_size.h"

namespace linnet::cli {

// The newest of each size in October 2026.
const std::array<ReleasedModel, 6> kReleasedModels = {{
    {"0.1B", "BlinkDL/rwkv7-g1/rwkv7-g1d-0.1b-20260129-ctx8192.pth", 12, 768},
    {"0.4B", "BlinkDL/rwkv7-g1/rwkv7-g1d-0.4b-20260210-ctx8192.pth", 24, 1024},
    {"1.5B", "BlinkDL/rwkv7-g1/rwkv7-g1j-1.5b-20260831-ctx16384.pth", 24, 2048},
    {"2.9B", "BlinkDL/rwkv7-g1/rwkv7-g1j-2.9b-20260831-ctx16384.pth", 32, 2560},
    {"7.2B", "BlinkDL/rwkv7-g1/rwkv7-g1j-7.2b-20260831-ctx16384.pth", 32, 4096},
    {"13.3B", "BlinkDL/rwkv7-g1/rwkv7-g1k-13.3b-20260930-ctx25600.pth", 61, 4096},
}};

Needs NeedsOf(const ReleasedModel& model, DType format) {
  // Buffers of a pass and of the program.
  constexpr uint64_t kBuffers = 150'000'000;
  constexpr uint64_t kStates = 8;  // of conversations in memory
  const ModelSize size = SizeOf(
      NewConfig({.generation = Generation::k7, .layers = model.layers, .width = model.width}),
      format);
  return {.weights = size.bytes(),
          .memory = size.bytes() + kStates * size.state_bytes + kBuffers,
          .read_bytes = size.matrix_bytes};
}

const ReleasedModel* LargestThatFits(uint64_t machine_bytes, DType format) {
  const ReleasedModel* largest = nullptr;
  for (const ReleasedModel& model : kReleasedModels) {
    if (NeedsOf(model, format).memory + kSystemBytes <= machine_bytes) largest = &model;
  }
  return largest;
}

}  // namespace linnet::cli
