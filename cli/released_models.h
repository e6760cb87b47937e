// Released models: what a user may pull, and what each takes.
#ifndef LINNET_CLI_RELEASED_MODELS_H_
#define LINNET_CLI_RELEASED_MODELS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "linnet/dtype.h"

namespace linnet::cli {

struct ReleasedModel {
  const char* size;  // as people call it
  const char* name;  // for linnet pull
  size_t layers, width;
};

// BlinkDL's RWKV-7 G1, by size.
extern const std::array<ReleasedModel, 6> kReleasedModels;

// Formats of the table, widest first.
inline constexpr std::array<DType, 3> kReleasedFormats = {DType::kBF16, DType::kI8, DType::kNF4};

// What a model needs in a format. All computed from its sizes.
struct Needs {
  uint64_t weights = 0;     // all of them, embedding too
  uint64_t memory = 0;      // with states and the buffers of a pass
  uint64_t read_bytes = 0;  // per token that is decoded alone
};
Needs NeedsOf(const ReleasedModel& model, DType format);

// Memory that the system and other programs need beside a model.
inline constexpr uint64_t kSystemBytes = 1'000'000'000;

// The largest model that fits a machine with so much memory; null if none does.
const ReleasedModel* LargestThatFits(uint64_t machine_bytes, DType format);

}  // namespace linnet::cli

#endif  // LINNET_CLI_RELEASED_MODELS_H_
