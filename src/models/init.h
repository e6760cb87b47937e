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

namespace linnet {

// "4", "5.0", "5.1", "5.2", "6", "7".
std::optional<Generation> ParseGeneration(std::string_view name);

// All sizes of a new model. Throws Error kBadInput naming the size that does not fit.
Config NewConfig(const InitSizes& sizes);

// The initial values of a parameter.
enum class StartKind : uint8_t {
  kConstant,    // `scale` everywhere
  kCurve,       // curve(i) of the element's index
  kUniform,     // in (-scale, scale)
  kOrthogonal,  // rows or columns, whichever are fewer, orthonormal and times `scale`
};

// A parameter of a new model, with its released name and shape.
struct NewParameter {
  std::string name;
  std::vector<size_t> shape;
  StartKind start = StartKind::kConstant;
  double scale = 0;
  std::function<double(size_t)> curve{};
  // Center and half-width of random values, chosen so that a model of any size stays finite.
  double center = 0, spread = 0;

  size_t elements() const;
};

// In the order of the released files; no v0, v1, v2 in v7's first layer.
// The formulas are those of RWKV-LM (generate_init_weight in RWKV-v4neo, RWKV-v5,
// RWKV-v7/train_temp).
std::vector<NewParameter> NewParameters(const Config& config);

enum class Filling : uint8_t {
  kReference,  // as the trainers do
  kRandom,     // fast, for benchmarks: uniform within `spread` of `center`
};

// Passes the parameter's values in order, in blocks of any size. They depend only on seed and name,
// not on threads, other parameters or block sizes. Allocates two copies of an orthogonal matrix,
// for other parameters a few megabytes.
void ForValues(const NewParameter& parameter, Filling filling, uint64_t seed, ThreadPool& pool,
               const std::function<void(std::span<const float>)>& take);

// The same, into memory of elements() floats.
void FillParameter(const NewParameter& parameter, Filling filling, uint64_t seed, ThreadPool& pool,
                   float* out);

}  // namespace linnet

#endif  // LINNET_MODELS_INIT_H_
