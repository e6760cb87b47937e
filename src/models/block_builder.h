// BlockBuilder: collects the parameters of a layer. Used only by the schemas of blocks.
#ifndef LINNET_MODELS_BLOCK_BUILDER_H_
#define LINNET_MODELS_BLOCK_BUILDER_H_

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/schema.h"

namespace linnet {

using Curve = std::function<double(size_t)>;

class BlockBuilder {
 public:
  explicit BlockBuilder(const Config& config) : c(config) {}

  const Config& c;
  size_t layer = 0;
  std::string prefix;  // of all names that follow
  std::vector<ParameterSpec> all;

  // The trainers' ratio_0_to_1 and ratio_1_to_almost0.
  double q0() const { return c.layers > 1 ? Fraction(layer, c.layers) : 0; }
  double q1() const { return 1 - static_cast<double>(layer) / static_cast<double>(c.layers); }
  // Point i of n from 0 to 1; 0 if there is only one.
  static double Fraction(size_t i, size_t n) {
    return n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
  }

  // NAME.weight and NAME.bias; so are the other names.
  void Norm(const std::string& name, size_t n, double gain = 1, const OtherNames& others = {}) {
    for (const char* part : {".weight", ".bias"}) {
      const bool weight = part[1] == 'w';
      ParameterSpec& p = Add(name + part, {n}, ParameterRole::kVector, StartKind::kConstant,
                             weight ? gain : 0, weight ? 1 : 0, 0.1);
      const auto with = [&](const std::string& stem) { return stem.empty() ? stem : stem + part; };
      p.others = {with(others.gguf), with(others.fla), with(others.hugging_face),
                  with(others.web_rwkv)};
    }
  }
  ParameterSpec& Vector(const std::string& name, std::vector<size_t> shape, Curve curve,
                        double center, double spread) {
    ParameterSpec& p =
        Add(name, std::move(shape), ParameterRole::kVector, StartKind::kCurve, 0, center, spread);
    p.curve = std::move(curve);
    return p;
  }
  ParameterSpec& Constant(const std::string& name, std::vector<size_t> shape, double value,
                          double center, double spread) {
    return Add(name, std::move(shape), ParameterRole::kVector, StartKind::kConstant, value, center,
               spread);
  }
  // A mix of the current and the previous token: [1, 1, C] in [0, 1].
  ParameterSpec& Mix(const std::string& name, Curve curve) {
    return Vector(name, {1, 1, c.width}, std::move(curve), 0.5, 0.45);
  }
  // The trainers' d^power + offset, with d from 0 to almost 1.
  ParameterSpec& MixPower(const std::string& name, double power, double offset = 0) {
    return Mix(name,
               [power, offset, n = c.width](size_t i) { return Power(i, n, power) + offset; });
  }
  ParameterSpec& MixRest(const std::string& name, double power, double offset = 0) {
    return Mix(name,
               [power, offset, n = c.width](size_t i) { return 1 - Power(i, n, power) - offset; });
  }
  // A matrix [out, in] with orthonormal rows or columns times gain; zeros if gain is 0.
  ParameterSpec& Matrix(const std::string& name, size_t out, size_t in, double gain) {
    return Add(name, {out, in}, ParameterRole::kMatrix,
               gain == 0 ? StartKind::kConstant : StartKind::kOrthogonal, gain, 0,
               1 / std::sqrt(static_cast<double>(in)));
  }
  // A low-rank factor [in, out], or [slices, in, out].
  ParameterSpec& Factor(const std::string& name, std::vector<size_t> shape, StartKind start,
                        double scale) {
    const size_t in = shape[shape.size() - 2];
    return Add(name, std::move(shape), ParameterRole::kFactor, start, scale, 0,
               0.5 / std::sqrt(static_cast<double>(in)));
  }
  ParameterSpec& Add(const std::string& name, std::vector<size_t> shape, ParameterRole role,
                     StartKind start, double scale, double center, double spread) {
    return all.emplace_back(ParameterSpec{.name = prefix + name,
                                          .shape = std::move(shape),
                                          .start = start,
                                          .scale = scale,
                                          .center = center,
                                          .spread = spread,
                                          .role = role});
  }

 private:
  static double Power(size_t i, size_t n, double power) {
    return std::pow(static_cast<double>(i) / static_cast<double>(n), power);
  }
};

// v4's trainer increases the gain of matrices with more rows than columns (v4neo: sqrt(rows /
// cols)).
inline double Widening(size_t out, size_t in) {
  return std::max(1.0, std::sqrt(static_cast<double>(out) / static_cast<double>(in)));
}

inline double ZigZag3(size_t i) { return static_cast<double>((i + 1) % 3) - 1; }

// ---- What several kinds of blocks share (rwkv_schemas.cc) ----

// ln1, ln2, and ln0 in the first layer, which normalizes the embedding.
void AddBlockNorms(BlockBuilder& b);
// The matrices of v5, v6 and v7 on heads, and the norm after WKV.
void AddAttentionMatrices(BlockBuilder& b, bool gate);
// time_faaaa of v5.2 and v6: one value per channel.
void AddBonus(BlockBuilder& b);
// The matrices of relu(K x)² through V, and of the gate R, of v5 and v6.
void AddGatedChannelMix(BlockBuilder& b, size_t ffn);
// Shifts and the [heads, N, N] matrices S of v5 and v6; of v7 with `transposed`.
std::vector<MemorySlot> HeadsMemory(size_t width, size_t heads, size_t head_size, bool transposed);

inline RowType FinishedType(const StateShape& shape) {
  return shape.rows == RowStorage::kF16 ? RowType::kF16 : RowType::kF32;
}

// RWKV-7's, of which its relatives are extensions, and RWKV-7a's.
void AddRwkv7Parameters(BlockBuilder& b);
void AddRwkv7aParameters(BlockBuilder& b);
std::vector<RankSource> Rwkv7Ranks();
std::vector<MemorySlot> Rwkv7Memory(size_t width, size_t heads, size_t head_size);

// RWKV-6's, of which its relatives are extensions.
void AddRwkv6Parameters(BlockBuilder& b);
std::vector<RankSource> Rwkv6Ranks();
std::vector<MemorySlot> Rwkv6Memory(size_t width, size_t heads, size_t head_size);

extern const BlockSchema kRwkv4Schema, kRwkv50Schema, kRwkv51Schema, kRwkv52Schema, kRwkv6Schema,
    kRwkv6MoeSchema, kRwkv7Schema, kRwkv7aSchema, kRwkv7bSchema, kGoldFinchSchema;

}  // namespace linnet

#endif  // LINNET_MODELS_BLOCK_BUILDER_H_
