// The lists of NewParameters: names, shapes and initial values of every generation, in released
// order.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "models/init.h"

namespace linnet {
namespace {

using Curve = std::function<double(size_t)>;

// Collects the parameters and adds the layer's prefix to their names.
class List {
 public:
  explicit List(const Config& config) : c(config) {}

  const Config& c;
  size_t layer = 0;
  std::string prefix;
  std::vector<NewParameter> all;

  // The trainers' ratio_0_to_1 and ratio_1_to_almost0.
  double q0() const { return c.layers > 1 ? Fraction(layer, c.layers) : 0; }
  double q1() const { return 1 - static_cast<double>(layer) / static_cast<double>(c.layers); }
  // Point i of n from 0 to 1; 0 if there is only one.
  static double Fraction(size_t i, size_t n) {
    return n > 1 ? static_cast<double>(i) / static_cast<double>(n - 1) : 0;
  }

  void Norm(const std::string& name, size_t n, double gain = 1) {
    Add(name + ".weight", {n}, StartKind::kConstant, gain, 1, 0.1);
    Add(name + ".bias", {n}, StartKind::kConstant, 0, 0, 0.1);
  }
  void Vector(const std::string& name, std::vector<size_t> shape, Curve curve, double center,
              double spread) {
    Add(name, std::move(shape), StartKind::kCurve, 0, center, spread);
    all.back().curve = std::move(curve);
  }
  // A mix of the current and the previous token: [1, 1, C] in [0, 1].
  void Mix(const std::string& name, Curve curve) {
    Vector(name, {1, 1, c.width}, std::move(curve), 0.5, 0.45);
  }
  // The trainers' d^power + offset, with d from 0 to almost 1.
  void MixPower(const std::string& name, double power, double offset = 0) {
    Mix(name, [power, offset, n = c.width](size_t i) { return Power(i, n, power) + offset; });
  }
  void MixRest(const std::string& name, double power, double offset = 0) {
    Mix(name, [power, offset, n = c.width](size_t i) { return 1 - Power(i, n, power) - offset; });
  }
  // A matrix [out, in] with orthonormal rows or columns times gain; zeros if gain is 0.
  void Matrix(const std::string& name, size_t out, size_t in, double gain) {
    Add(name, {out, in}, gain == 0 ? StartKind::kConstant : StartKind::kOrthogonal, gain, 0,
        1 / std::sqrt(static_cast<double>(in)));
  }
  // A low-rank factor [in, out].
  void Factor(const std::string& name, std::vector<size_t> shape, StartKind start, double scale) {
    const size_t in = shape[shape.size() - 2];
    Add(name, std::move(shape), start, scale, 0, 0.5 / std::sqrt(static_cast<double>(in)));
  }
  void Add(const std::string& name, std::vector<size_t> shape, StartKind start, double scale,
           double center, double spread) {
    all.push_back({prefix + name, std::move(shape), start, scale, {}, center, spread});
  }

 private:
  static double Power(size_t i, size_t n, double power) {
    return std::pow(static_cast<double>(i) / static_cast<double>(n), power);
  }
};

// v4's trainer increases the gain of matrices with more rows than columns (v4neo: sqrt(rows /
// cols)).
double Widening(size_t out, size_t in) {
  return std::max(1.0, std::sqrt(static_cast<double>(out) / static_cast<double>(in)));
}

double ZigZag3(size_t i) { return static_cast<double>((i + 1) % 3) - 1; }

void TimeMix4(List& l) {
  const size_t C = l.c.width;
  const double q0 = l.q0(), q1 = l.q1();
  l.Vector(
      "att.time_decay", {C},
      [=](size_t i) { return -5 + 8 * std::pow(List::Fraction(i, C), 0.7 + 1.3 * q0); }, -1, 4);
  l.Vector(
      "att.time_first", {C}, [](size_t i) { return std::log(0.3) + 0.5 * ZigZag3(i); }, -1.2, 0.5);
  l.MixPower("att.time_mix_k", q1);
  l.MixPower("att.time_mix_v", q1, 0.3 * q0);
  l.MixPower("att.time_mix_r", 0.5 * q1);
  l.Matrix("att.key.weight", C, C, 0);
  l.Matrix("att.value.weight", C, C, 1);
  l.Matrix("att.receptance.weight", C, C, 0);
  l.Matrix("att.output.weight", C, C, 0);
}

// The matrices shared by v5, v6 and v7, and the norm after WKV.
void AttMatrices(List& l, bool gate) {
  const size_t C = l.c.width, A = l.c.att_width;
  l.Matrix("att.receptance.weight", A, C, 1);
  l.Matrix("att.key.weight", A, C, 0.1);
  l.Matrix("att.value.weight", A, C, 1);
  l.Matrix("att.output.weight", C, A, 0);
  if (gate) l.Matrix("att.gate.weight", A, C, 0.1);
  const double depth = static_cast<double>(l.layer + 1) / static_cast<double>(l.c.layers);
  l.Norm("att.ln_x", A, std::pow(depth, 0.7));
}

// -6 + 5 x^(0.7 + 1.3 q0) over `n` heads or channels: log of -log of the decay.
void Decay(List& l, std::vector<size_t> shape, size_t n, double lowest = -6) {
  const double power = 0.7 + 1.3 * l.q0();
  l.Vector(
      "att.time_decay", std::move(shape),
      [=](size_t i) { return lowest - (1 + lowest) * std::pow(List::Fraction(i, n), power); }, -3.5,
      2.5);
}

void Bonus(List& l) {
  const double q0 = l.q0();
  l.Vector(
      "att.time_faaaa", {l.c.heads, l.c.head_size},
      [q0, A = l.c.att_width](size_t i) {
        return q0 * (1 - List::Fraction(i, A)) + 0.1 * ZigZag3(i);
      },
      0.2, 0.4);
}

void TimeMix5(List& l) {
  const size_t H = l.c.heads;
  const double q0 = l.q0(), q1 = l.q1();
  const bool gate = l.c.generation != Generation::k50;
  l.MixPower("att.time_mix_k", q1);
  l.MixPower("att.time_mix_v", q1, 0.3 * q0);
  l.MixPower("att.time_mix_r", 0.5 * q1);
  if (gate) l.MixPower("att.time_mix_g", 0.5 * q1);
  if (l.c.generation == Generation::k52) {
    Decay(l, {H, l.c.head_size}, l.c.att_width);
    Bonus(l);
  } else {
    // The trainer of 5.0 started its heads slower, from -8 to -1.
    Decay(l, {H}, H, gate ? -6 : -8);
    l.Add("att.time_first", {H}, StartKind::kConstant, -3, -3, 0.5);
  }
  AttMatrices(l, gate);
}

void TimeMix6(List& l) {
  const size_t C = l.c.width, A = l.c.att_width;
  const size_t mix = l.c.ranks.at("mix"), decay = l.c.ranks.at("decay");
  const double q0 = l.q0(), q1 = l.q1();
  for (const char* letter : {"x", "w", "k"}) l.MixRest(std::string("att.time_maa_") + letter, q1);
  l.MixRest("att.time_maa_v", q1, 0.3 * q0);
  l.MixRest("att.time_maa_r", 0.5 * q1);
  l.MixRest("att.time_maa_g", 0.5 * q1);
  l.Factor("att.time_maa_w1", {C, 5 * mix}, StartKind::kConstant, 0);
  l.Factor("att.time_maa_w2", {5, mix, C}, StartKind::kUniform, 0.01);
  Decay(l, {1, 1, A}, A);
  l.Factor("att.time_decay_w1", {C, decay}, StartKind::kConstant, 0);
  l.Factor("att.time_decay_w2", {decay, A}, StartKind::kUniform, 0.01);
  Bonus(l);
  AttMatrices(l, true);
}

void LowRank7(List& l, const char* letter) {
  const size_t C = l.c.width, rank = l.c.ranks.at(letter);
  const std::string name = std::string("att.") + letter;
  l.Factor(name + "1", {C, rank}, StartKind::kConstant, 0);
  // If rank > C, the trainer increases the gain as v4's did.
  l.Factor(name + "2", {rank, C}, StartKind::kOrthogonal, 0.1 * Widening(rank, C));
}

void TimeMix7(List& l) {
  const size_t C = l.c.width, N = l.c.head_size;
  const double q0 = l.q0(), q1 = l.q1();
  for (const auto& [letter, power] : std::initializer_list<std::pair<const char*, double>>{
           {"r", 0.2}, {"w", 0.9}, {"k", 0.7}, {"v", 0.7}, {"a", 0.9}, {"g", 0.2}}) {
    l.MixRest(std::string("att.x_") + letter, power * q1);
  }
  const auto linear = [C](size_t i) { return List::Fraction(i, C) - 0.5; };
  const auto zigzag = [N](size_t i) {  // from -1 to 1 within each head, flat in the middle
    const double z = 2 * List::Fraction(i % N, N) - 1;
    return N > 1 ? z * std::abs(z) : 0.0;
  };
  const auto channel = [&](const char* name, Curve curve, double center, double spread) {
    l.Vector(std::string("att.") + name, {1, 1, C}, std::move(curve), center, spread);
  };
  LowRank7(l, "w");
  const double power = 1 + std::pow(q0, 0.3);
  channel(
      "w0",
      [=](size_t i) {
        return -6 + 6 * std::pow(List::Fraction(i, C), power) + 0.5 + 2.5 * zigzag(i);
      },
      -3, 3);
  LowRank7(l, "a");
  channel(
      "a0", [=](size_t i) { return -0.19 + 0.3 * zigzag(i) + 0.4 * linear(i); }, -0.2, 0.5);
  if (l.layer > 0) {
    LowRank7(l, "v");
    channel(
        "v0", [=](size_t i) { return 0.73 - 0.4 * linear(i); }, 0.7, 0.2);
  }
  LowRank7(l, "g");
  channel(
      "k_k", [=](size_t i) { return 0.71 - 0.1 * linear(i); }, 0.7, 0.1);
  l.Add("att.k_a", {1, 1, C}, StartKind::kConstant, 1.02, 1, 0.05);
  l.Add("att.r_k", {l.c.heads, N}, StartKind::kConstant, -0.04, 0, 0.1);
  AttMatrices(l, false);
}

// relu(K x)² through V, and the gate R of v4 to v6.
void ChannelMix(List& l) {
  const size_t C = l.c.width, F = l.c.ffn;
  const double q1 = l.q1();
  const bool v4 = l.c.generation == Generation::k4, v7 = l.c.generation == Generation::k7;
  if (v7) {
    l.MixRest("ffn.x_k", std::pow(q1, 4));
  } else if (l.c.generation == Generation::k6) {
    l.MixRest("ffn.time_maa_k", std::pow(q1, 3));
    l.MixRest("ffn.time_maa_r", std::pow(q1, 3));
  } else {
    l.MixPower("ffn.time_mix_k", q1);
    l.MixPower("ffn.time_mix_r", q1);
  }
  l.Matrix("ffn.key.weight", F, C, v4 ? Widening(F, C) : 1);
  if (!v7) l.Matrix("ffn.receptance.weight", C, C, 0);
  l.Matrix("ffn.value.weight", C, F, 0);
}

void Block(List& l) {
  const size_t C = l.c.width;
  l.Norm("ln1", C);
  l.Norm("ln2", C);
  if (l.layer == 0) l.Norm("ln0", C);
  switch (l.c.generation) {
    case Generation::k4:
      TimeMix4(l);
      break;
    case Generation::k6:
      TimeMix6(l);
      break;
    case Generation::k7:
      TimeMix7(l);
      break;
    default:
      TimeMix5(l);
      break;
  }
  ChannelMix(l);
}

}  // namespace

std::vector<NewParameter> NewParameters(const Config& config) {
  List l(config);
  const size_t C = config.width, V = config.vocab;
  // v4's trainer uses its initial learning rate here, 6e-4 by default.
  l.Add("emb.weight", {V, C}, StartKind::kUniform,
        config.generation == Generation::k4 ? 6e-4 : 1e-4, 0, 0.5);
  for (l.layer = 0; l.layer < config.layers; ++l.layer) {
    l.prefix = fmt::format("blocks.{}.", l.layer);
    Block(l);
  }
  l.prefix.clear();
  l.Norm("ln_out", C);
  l.Matrix("head.weight", V, C, 0.5 * Widening(V, C));
  return std::move(l.all);
}

}  // namespace linnet
