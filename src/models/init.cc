#include "models/init.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "linnet/error.h"
#include "models/experts.h"

namespace linnet {
namespace {

[[noreturn]] void Refuse(const std::string& what) { throw Error(ErrorKind::kBadInput, what); }

void Check(const char* name, size_t value, size_t most) {
  if (value == 0 || value > most) {
    Refuse(fmt::format("{} {} is out of range, expected 1 to {}", name, value, most));
  }
}

// The trainers' rule: factor * C^power, in steps of 32, rounded half to even as in Python.
size_t RankOf(double factor, size_t width, double power) {
  const double steps = std::nearbyint(factor * std::pow(width, power) / 32);
  return std::max<size_t>(32, static_cast<size_t>(steps) * 32);
}

void SetRanks(RankRule rule, Config& c) {
  if (c.generation == Generation::k6 || c.generation == Generation::k6moe) {
    c.ranks["mix"] = c.width < 4096 ? 32 : 64;
    c.ranks["decay"] = c.width < 4096 ? 64 : 128;
  }
  if (c.generation == Generation::kGoldFinch) {
    c.ranks["mix"] = c.ranks["query"] = c.ranks["kv"] = 32;
    c.ranks["decay"] = c.ranks["value2"] = 64;
    c.ranks["key"] = c.ranks["value"] = std::max<size_t>(c.width / 16, 64);
    c.ranks["cache"] = std::max<size_t>(c.width / 16, 1);
    c.attention_from = c.layers * 2 / 3;
  }
  if (c.generation != Generation::k7 && c.generation != Generation::k7a &&
      c.generation != Generation::k7b) {
    return;
  }
  const bool train = rule == RankRule::kTrain;
  c.ranks["w"] = c.ranks["a"] = RankOf(train ? 2.5 : 1.8, c.width, 0.5);
  c.ranks["v"] = RankOf(train ? 1.7 : 1.3, c.width, 0.5);
  c.ranks["g"] = train ? RankOf(5, c.width, 0.5) : RankOf(0.6, c.width, 0.8);
  // The only released size whose gate rank differs from the rule, which gives 160.
  if (!train && c.width == 1024) c.ranks["g"] = 128;
}

void SetExperts(size_t experts, Config& c) {
  if (c.generation != Generation::k6moe) {
    if (experts != 0) Refuse(fmt::format("RWKV-{} has no experts", Name(c.generation)));
    return;
  }
  c.experts = experts != 0 ? experts : 8;
  Check("experts", c.experts, kMostExperts);
  Check("layers", c.layers, kRoutedLayers);
}

size_t OwnFfn(Generation generation, size_t width) {
  switch (generation) {
    case Generation::k4:
    case Generation::k50:
    case Generation::k7:
    case Generation::k7a:
    case Generation::k7b:
      return 4 * width;
    default:
      return std::max<size_t>(width * 7 / 2 / 32 * 32, 32);
  }
}

}  // namespace

std::optional<Generation> ParseGeneration(std::string_view name) {
  for (const auto g : kGenerations) {
    if (name == Name(g)) return g;
  }
  return std::nullopt;
}

std::vector<std::string> GenerationNames() {
  std::vector<std::string> names(std::size(kGenerations));
  std::transform(std::begin(kGenerations), std::end(kGenerations), names.begin(),
                 [](Generation g) { return std::string(Name(g)); });
  return names;
}

Config NewConfig(const InitSizes& sizes) {
  Check("layers", sizes.layers, 1000);
  Check("width", sizes.width, size_t{1} << 16);
  Check("vocab", sizes.vocab, size_t{1} << 24);
  Check("head size", sizes.head_size, 256);
  Config c;
  c.generation = sizes.generation;
  c.layers = sizes.layers;
  c.width = c.att_width = sizes.width;
  c.vocab = sizes.vocab;
  const bool heads = c.generation != Generation::k4;
  c.head_size = heads ? sizes.head_size : c.width;
  if (c.width % c.head_size != 0) {
    Refuse(fmt::format("width {} is not a multiple of the head size {}", c.width, c.head_size));
  }
  c.heads = c.width / c.head_size;
  if (c.generation == Generation::kGoldFinch && c.layers < 2) {
    Refuse("GoldFinch has a third of its layers for attention, so at least 2, found 1");
  }
  c.ffn = sizes.ffn != 0 ? sizes.ffn : OwnFfn(c.generation, c.width);
  Check("ffn", c.ffn, size_t{1} << 20);
  SetRanks(sizes.ranks, c);
  SetExperts(sizes.experts, c);
  return c;
}

std::vector<ParameterSpec> NewParameters(const Config& config) {
  std::vector<ParameterSpec> all = ParametersOf(config);
  std::erase_if(all, [](const ParameterSpec& p) { return p.unused; });
  return all;
}

}  // namespace linnet
