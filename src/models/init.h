// Initialization: every parameter of a new model, with the initial values of the reference
// trainers.
#ifndef LINNET_MODELS_INIT_H_
#define LINNET_MODELS_INIT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "linnet/config.h"
#include "models/schema.h"

namespace linnet {

// As Name gives it: "4", "5.2", "7a".
std::optional<Generation> ParseGeneration(std::string_view name);
std::vector<std::string> GenerationNames();

// All sizes of a new model. Throws Error kBadInput naming the size that does not fit.
Config NewConfig(const InitSizes& sizes);

// Those of ParametersOf that something reads.
std::vector<ParameterSpec> NewParameters(const Config& config);

enum class Filling : uint8_t {
  kReference,  // as the trainers do
  kRandom,     // fast, for benchmarks: uniform within `spread` of `center`
};

// Passes the parameter's values in order, in blocks of any size. They depend only on seed and name,
// not on threads, other parameters or block sizes. Allocates two copies of an orthogonal matrix,
// for other parameters a few megabytes.
void ForValues(const ParameterSpec& parameter, Filling filling, uint64_t seed, ThreadPool& pool,
               const std::function<void(std::span<const float>)>& take);

// The same, into memory of elements() floats.
void FillParameter(const ParameterSpec& parameter, Filling filling, uint64_t seed, ThreadPool& pool,
                   float* out);

}  // namespace linnet

#endif  // LINNET_MODELS_INIT_H_
