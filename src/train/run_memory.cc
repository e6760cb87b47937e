#include "train/run_memory.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "io/tensor_file.h"
#include "models/detect.h"
#include "models/init.h"
#include "models/network.h"
#include "models/schema.h"
#include "train/passes.h"
#include "train/replicas.h"

namespace linnet {
namespace {

// Tables are read row by row: they have no packed copy, and stay in the file if they are frozen.
bool IsReadByRow(const std::string& name) {
  const ParameterSpec* p = FindParameter(name);
  return p != nullptr && p->role == ParameterRole::kTable;
}

bool Learns(const LearnerOptions& options, const std::string& name) {
  return !options.learns || options.learns(name);
}

// A trained parameter, as f32. A matrix also has a packed copy for products.
void AddLearning(const std::string& name, const std::vector<size_t>& shape, uint64_t elements,
                 DType precision, ParameterSizes& sizes) {
  sizes.learning += elements;
  const auto large = std::count_if(shape.begin(), shape.end(), [](size_t n) { return n > 1; });
  if (large > 1 && !IsReadByRow(name)) sizes.fixed += elements * (precision == DType::kF32 ? 4 : 2);
}

// The bytes of a safetensors file with all parameters of a new model.
std::vector<std::byte> NewModelInMemory(const Config& config, ThreadPool& pool) {
  const auto parameters = NewParameters(config);
  nlohmann::ordered_json header;
  uint64_t bytes = 0;
  for (const ParameterSpec& p : parameters) {
    const uint64_t end = bytes + p.elements() * sizeof(float);
    header[p.name] = {{"dtype", "F32"}, {"shape", p.shape}, {"data_offsets", {bytes, end}}};
    bytes = end;
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::vector<std::byte> file(sizeof(length) + length + bytes);
  std::memcpy(file.data(), &length, sizeof(length));
  std::memcpy(file.data() + sizeof(length), text.data(), length);
  std::byte* at = file.data() + sizeof(length) + length;
  std::vector<float> values;
  for (const ParameterSpec& p : parameters) {
    values.resize(p.elements());
    FillParameter(p, Filling::kRandom, 1, pool, values.data());
    std::memcpy(at, values.data(), values.size() * sizeof(float));
    at += values.size() * sizeof(float);
  }
  return file;
}

double MeasuredPass(const Config& config, const LearnerOptions& options, size_t rows,
                    size_t length) {
  ThreadPool pool(1);
  const auto bytes = NewModelInMemory(config, pool);
  Checkpoint checkpoint(TensorFile::Parse(bytes, "a small model"));
  const Config found = ConfigOf(checkpoint);
  BindOptions bind;
  bind.gradients = true;
  bind.trained = options.precision;
  const auto network = Network::Bind(std::move(checkpoint), found, pool, bind);
  Passes passes(*network, PassOptionsOf(options), pool);
  return static_cast<double>(passes.Bytes(rows, length));
}

}  // namespace

ParameterSizes SizesOfNew(const Config& config, const LearnerOptions& options) {
  ParameterSizes sizes;
  for (const ParameterSpec& p : NewParameters(config)) {
    if (Learns(options, p.name)) {
      AddLearning(p.name, p.shape, p.elements(), options.precision, sizes);
    } else if (!IsReadByRow(p.name)) {
      sizes.fixed += p.elements() * sizeof(float);
    }
  }
  return sizes;
}

ParameterSizes SizesOfBase(const Checkpoint& base, const LearnerOptions& options, bool adapters) {
  ParameterSizes sizes;
  uint64_t all = 0, fixed = 0;
  for (const TensorView& t : base.tensors()) {
    if (t.name.starts_with(kTrainingPrefix)) continue;
    all += t.elements();
    if (!adapters && Learns(options, t.name)) {
      AddLearning(t.name, t.shape, t.elements(), options.precision, sizes);
    } else if (!IsReadByRow(t.name)) {
      fixed += t.elements();
    }
  }
  // In the precision of the file; the size of other formats is computed where they are packed.
  if (!options.packing.type && all > 0) {
    sizes.fixed += static_cast<uint64_t>(static_cast<double>(base.file().file_bytes()) *
                                         static_cast<double>(fixed) / static_cast<double>(all));
  }
  return sizes;
}

uint64_t ParameterBytes(const ParameterSizes& sizes, size_t share, size_t rows, size_t processes) {
  const uint64_t values = sizes.learning * sizeof(float);
  // One more partial gradient is stored per level of the tree in which passes are summed.
  size_t levels = 0;
  while (rows > 0 && (rows << levels) < share) ++levels;
  return values * (2 + levels) + 2 * values / processes + sizes.fixed;
}

uint64_t PassBytes(const Config& config, const LearnerOptions& options, size_t rows, size_t length,
                   size_t threads, uint64_t learning) {
  constexpr size_t kWidth = 256;  // of the small models
  Config small = config;
  small.vocab = std::min<size_t>(config.vocab, 256);
  const bool narrow = config.generation == Generation::k4 || kWidth % config.head_size == 0;
  const double scale =
      narrow && config.width > kWidth ? static_cast<double>(config.width) / double{kWidth} : 1;
  const auto scaled = [scale](size_t n) {
    return std::max<size_t>(1, static_cast<size_t>(static_cast<double>(n) / scale));
  };
  if (scale > 1) {
    small.width = small.att_width = kWidth;
    if (config.generation == Generation::k4) small.head_size = kWidth;
    if (config.generation != Generation::k4) small.heads = kWidth / config.head_size;
    small.ffn = scaled(config.ffn);
    for (auto& [name, rank] : small.ranks) rank = scaled(rank);
  }
  const PassOptions pass = PassOptionsOf(options);
  const size_t replicas = ReplicasFor(rows, threads, learning * sizeof(float), pass);
  const auto measure = [&](size_t layers) {
    small.layers = layers;
    return MeasuredPass(small, options, rows / replicas, length);
  };
  // The first layer differs from the others, which are equal in size.
  const size_t few = std::min<size_t>(config.layers, 2);
  double bytes = measure(few);
  if (config.layers > few) {
    bytes += (measure(few + 1) - bytes) * static_cast<double>(config.layers - few);
  }
  return static_cast<uint64_t>(scale * bytes) * replicas +
         (replicas - 1) * learning * sizeof(float);
}

}  // namespace linnet
