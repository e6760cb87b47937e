// What the schemas of all generations have in common, and the index of all parameters.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "io/tensor_view.h"
#include "models/block_builder.h"
#include "models/init.h"

namespace linnet {

std::optional<NameInBlock> SplitBlockName(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  size_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  return NameInBlock{layer, name};
}

std::string BlockName(size_t layer, std::string_view rest) {
  return fmt::format("blocks.{}.{}", layer, rest);
}

namespace {
constexpr std::string_view kExpertPrefix = "ffn.moe.deepspeed_moe.experts.deepspeed_experts.";
}  // namespace

std::optional<NameInBlock> SplitExpertName(std::string_view rest) {
  return SplitBlockName(rest, kExpertPrefix);
}

std::string ExpertName(size_t expert, std::string_view rest) {
  return fmt::format("{}{}.{}", kExpertPrefix, expert, rest);
}

size_t ParameterSpec::elements() const { return ElementsOf(shape); }
size_t MemorySlot::floats() const { return ElementsOf(shape); }

void AddBlockNorms(BlockBuilder& b) {
  const size_t C = b.c.width;
  b.Norm("ln1", C, 1, {.gguf = "attn_norm", .fla = "attn_norm"});
  b.Norm("ln2", C, 1, {.gguf = "attn_norm_2", .fla = "ffn_norm"});
  if (b.layer > 0) return;
  b.Norm("ln0", C, 1, {.gguf = "token_embd_norm", .fla = "pre_norm", .hugging_face = "pre_ln"});
}

void AddAttentionMatrices(BlockBuilder& b, bool gate) {
  const size_t C = b.c.width, A = b.c.att_width;
  b.Matrix("att.receptance.weight", A, C, 1).others = {.gguf = "time_mix_receptance.weight",
                                                       .fla = "attn.r_proj.weight"};
  b.Matrix("att.key.weight", A, C, 0.1).others = {.gguf = "time_mix_key.weight",
                                                  .fla = "attn.k_proj.weight"};
  b.Matrix("att.value.weight", A, C, 1).others = {.gguf = "time_mix_value.weight",
                                                  .fla = "attn.v_proj.weight"};
  b.Matrix("att.output.weight", C, A, 0).others = {.gguf = "time_mix_output.weight",
                                                   .fla = "attn.o_proj.weight"};
  if (gate) b.Matrix("att.gate.weight", A, C, 0.1).others = {.gguf = "time_mix_gate.weight"};
  const double depth = static_cast<double>(b.layer + 1) / static_cast<double>(b.c.layers);
  b.Norm("att.ln_x", A, std::pow(depth, 0.7), {.gguf = "time_mix_ln", .fla = "attn.g_norm"});
}

void AddBonus(BlockBuilder& b) {
  const double q0 = b.q0();
  b.Vector(
       "att.time_faaaa", {b.c.heads, b.c.head_size},
       [q0, A = b.c.att_width](size_t i) {
         return q0 * (1 - BlockBuilder::Fraction(i, A)) + 0.1 * ZigZag3(i);
       },
       0.2, 0.4)
      .others = {.gguf = "time_mix_first.weight", .web_rwkv = "att.time_first"};
}

void AddGatedChannelMix(BlockBuilder& b, size_t ffn) {
  const size_t C = b.c.width;
  b.Matrix("ffn.key.weight", ffn, C, 1).others = {.gguf = "channel_mix_key.weight"};
  b.Matrix("ffn.receptance.weight", C, C, 0).others = {.gguf = "channel_mix_receptance.weight"};
  b.Matrix("ffn.value.weight", C, ffn, 0).others = {.gguf = "channel_mix_value.weight"};
}

std::vector<MemorySlot> HeadsMemory(size_t width, size_t heads, size_t head_size, bool transposed) {
  return {{"att_shift", {width}, &LayerStrides::att_shift},
          {.name = "wkv", .shape = {heads, head_size, head_size}, .transposed = transposed},
          {"ffn_shift", {width}, &LayerStrides::ffn_shift}};
}

const BlockSchema& SchemaOf(Generation generation) {
  switch (generation) {
    case Generation::k4:
      return kRwkv4Schema;
    case Generation::k50:
      return kRwkv50Schema;
    case Generation::k51:
      return kRwkv51Schema;
    case Generation::k52:
      return kRwkv52Schema;
    case Generation::k6:
      return kRwkv6Schema;
    case Generation::k6moe:
      return kRwkv6MoeSchema;
    case Generation::k7a:
      return kRwkv7aSchema;
    case Generation::k7b:
      return kRwkv7bSchema;
    case Generation::kGoldFinch:
      return kGoldFinchSchema;
    case Generation::k7:
      break;
  }
  return kRwkv7Schema;
}

const BlockSchema& SchemaOf(Generation generation, size_t layer, size_t attention_from) {
  const BlockSchema& schema = SchemaOf(generation);
  return schema.attention != nullptr && layer >= attention_from ? *schema.attention : schema;
}

bool HasAttention(Generation generation) {
  const BlockSchema& schema = SchemaOf(generation);
  return schema.kept != nullptr || schema.attention != nullptr;
}

// ---- States ----

StateShape StateShapeOf(const Config& c) {
  const auto cache = c.ranks.find("cache");
  return {.generation = c.generation,
          .layers = c.layers,
          .width = c.width,
          .heads = c.heads,
          .head_size = c.head_size,
          .model_hash = {},
          .attention_from = c.attention_from,
          .cache = cache == c.ranks.end() ? 0 : cache->second};
}

namespace {

const BlockSchema& SchemaAt(const StateShape& s, size_t layer) {
  return SchemaOf(s.generation, layer, s.attention_from);
}

std::vector<RowSlot> KeptBy(const StateShape& s, size_t layer) {
  const auto kept = SchemaAt(s, layer).kept;
  return kept == nullptr ? std::vector<RowSlot>() : kept(s, layer);
}

std::vector<RowSlot> FinishedBy(const StateShape& s, size_t layer) {
  const auto finished = SchemaAt(s, layer).finished;
  return finished == nullptr ? std::vector<RowSlot>() : finished(s, layer);
}

}  // namespace

std::vector<MemorySlot> MemoryOf(const StateShape& s, size_t layer) {
  return SchemaAt(s, layer).memory(s.width, s.heads, s.head_size);
}

std::vector<LayerStrides> StridesOf(const StateShape& shape) {
  std::vector<LayerStrides> strides(shape.layers);
  size_t begin = 0, kept = 1, finished = 0;  // slot 0 of the kept ones has the token ids
  for (size_t layer = 0; layer < shape.layers; ++layer) {
    LayerStrides& s = strides[layer];
    s = {.begin = begin, .kept = kept, .finished = finished};
    for (const MemorySlot& slot : MemoryOf(shape, layer)) s.*slot.part += slot.floats();
    begin += s.floats();
    kept += KeptBy(shape, layer).size();
    finished += FinishedBy(shape, layer).size();
  }
  return strides;
}

std::vector<RowSlot> KeptRows(const StateShape& shape) {
  if (!HasAttention(shape.generation)) return {};
  std::vector<RowSlot> all = {{"tokens", 1, RowType::kI32}};
  for (size_t layer = 0; layer < shape.layers; ++layer) {
    for (RowSlot& slot : KeptBy(shape, layer)) all.push_back(std::move(slot));
  }
  return all;
}

std::vector<RowSlot> FinishedRows(const StateShape& shape) {
  std::vector<RowSlot> all;
  if (shape.rows == RowStorage::kCompact) return all;
  for (size_t layer = 0; layer < shape.layers; ++layer) {
    for (RowSlot& slot : FinishedBy(shape, layer)) all.push_back(std::move(slot));
  }
  return all;
}

std::vector<ParameterSpec> ParametersOf(const Config& config) {
  BlockBuilder b(config);
  const size_t C = config.width, V = config.vocab;
  // v4's trainer uses its initial learning rate here, 6e-4 by default.
  b.Add("emb.weight", {V, C}, ParameterRole::kTable, StartKind::kUniform,
        config.generation == Generation::k4 ? 6e-4 : 1e-4, 0, 0.5)
      .others = {.gguf = "token_embd.weight"};
  for (b.layer = 0; b.layer < config.layers; ++b.layer) {
    b.prefix = BlockName(b.layer, "");
    AddBlockNorms(b);
    SchemaOf(config.generation, b.layer, config.attention_from).parameters(b);
  }
  b.prefix.clear();
  b.Norm("ln_out", C, 1, {.gguf = "output_norm"});
  b.Matrix("head.weight", V, C, 0.5 * Widening(V, C)).others = {.gguf = "output.weight"};
  if (const auto add = SchemaOf(config.generation).model) add(b);
  return std::move(b.all);
}

// ---- The index ----

namespace {

SpecsByName IndexOf(Generation generation) {
  SpecsByName index;
  // Two layers of the first kind, and one of the other if there is one.
  const size_t layers = SchemaOf(generation).attention == nullptr ? 2 : 3;
  for (ParameterSpec& p : ParametersOf(NewConfig({generation, layers, 64, 8, 64}))) {
    index.emplace(p.name, std::move(p));
  }
  return index;
}

}  // namespace

const SpecsByName& ParametersIn(Generation generation) {
  static const auto kAll = [] {
    std::map<Generation, SpecsByName> all;
    for (const Generation g : kGenerations) all.emplace(g, IndexOf(g));
    return all;
  }();
  return kAll.at(generation);
}

const ParameterSpec* FindParameter(Generation generation, const std::string& name) {
  const SpecsByName& index = ParametersIn(generation);
  const auto find = [&](const std::string& key) {
    const auto it = index.find(key);
    return it == index.end() ? nullptr : &it->second;
  };
  const auto place = SplitBlockName(name);
  if (!place) return find(name);
  // All layers are like the second or the third, all experts like the first.
  const auto expert = SplitExpertName(place->rest);
  const std::string rest = expert ? ExpertName(0, expert->rest) : std::string(place->rest);
  const ParameterSpec* p = find(BlockName(std::min<size_t>(place->layer, 1), rest));
  return p != nullptr ? p : find(BlockName(2, rest));
}

const ParameterSpec* FindParameter(const std::string& name) {
  for (const Generation generation : kGenerations) {
    if (const ParameterSpec* p = FindParameter(generation, name)) return p;
  }
  return nullptr;
}

bool IsUnused(const std::string& name) {
  const ParameterSpec* p = FindParameter(name);
  return p != nullptr && p->unused;
}

}  // namespace linnet
