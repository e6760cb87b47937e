#include "models/detect.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "linnet/error.h"
#include "models/experts.h"
#include "models/init.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet {
namespace {

constexpr const char* kCacheName = "w_kv_cache_a.weight";

bool AnyContains(const Checkpoint& c, std::string_view part) {
  return std::any_of(c.tensors().begin(), c.tensors().end(),
                     [&](const TensorView& t) { return t.name.find(part) != std::string::npos; });
}

[[noreturn]] void Refuse(const Checkpoint& c, const std::string& what,
                         Remedy remedy = Remedy::kNone) {
  throw Error(ErrorKind::kBadModel, c.file().path().string() + ": " + what, remedy);
}

// Whether parts of RWKV-6 or 7 occur under `self_attn.`; hybrids name the rest in different ways.
bool HasTimeMixParts(const Checkpoint& c) {
  constexpr std::string_view kParts[] = {"time_mixer",  "time_maa",    "time_decay", "time_faaaa",
                                         ".receptance", ".r_k",        ".k_k",       ".x_r",
                                         ".w0",         "_lora.lora.", ".w1",        ".ln_x"};
  return std::any_of(c.tensors().begin(), c.tensors().end(), [&](const TensorView& t) {
    const size_t at = t.name.find("self_attn.");
    const auto rest = std::string_view(t.name).substr(std::min(at, t.name.size()));
    return std::any_of(std::begin(kParts), std::end(kParts),
                       [&](std::string_view part) { return rest.find(part) != rest.npos; });
  });
}

// Which tensor tells a family of models; `generation` is null for those that Linnet does not run.
struct Family {
  const char* mark;  // its name; with a * before it, a part of any name
  std::optional<Generation> generation;
  const char* name = nullptr;
};

// The first row whose mark is there counts. Relatives contain most tensors of what they extend.
const Family kFamilies[] = {
    {kCacheName, Generation::kGoldFinch},
    {"*.rosa.", {}, "RWKV-8 ROSA"},
    {"*rosa_qkv", {}, "RWKV-8 ROSA"},
    {"*moba.0.att.", {}, "RWKV-X"},
    {"*vrwkv.emb.", {}, "VisualRWKV"},
    {"*.att.spatial_decay", {}, "Restore-RWKV or Vision-RWKV"},
    {"blocks.0.qkv.ennk.weight", {}, "RWKV-8 hybrid (rc00)"},
    {"blocks.0.qkv.emm.weight", {}, "RWKV-8 hybrid (rc00)"},
    {"blocks.0.ffn.enn.weight", {}, "RWKV-8 (rc00)"},
    {"blocks.0.att.time_maa_v2", {}, "Finch-C2 without GoldFinch's attention"},
    {"blocks.0.att.gate_w1", {}, "RWKV-6a (experimental)"},
    {"head_q.weight",
     {},
     "a model with head QK (head_q, head_k and copy_mask, which add to its logits)"},
    {"head_k.weight",
     {},
     "a model with head QK (head_q, head_k and copy_mask, which add to its logits)"},
    {"blocks.0.qkv.k_emb.weight", Generation::k7b},
    {"blocks.0.ffn.s_emb.weight", Generation::k7a},
    {"blocks.0.att.r_k", Generation::k7},
    {"blocks.0.att.k_k", Generation::k7},
    {"*blocks.0.ffn.moe.deepspeed_moe.experts.deepspeed_experts.0.ffn_key.", Generation::k6moe},
    {"blocks.0.att.time_maa_x", Generation::k6},
    {"blocks.0.att.ln_x.weight", Generation::k52},  // or 5.0 or 5.1
    {"blocks.0.att.time_mix_k", Generation::k4}};

const Family* FamilyOf(const Checkpoint& c) {
  for (const Family& family : kFamilies) {
    const bool part = family.mark[0] == '*';
    if (part ? AnyContains(c, family.mark + 1) : c.Has(family.mark)) return &family;
  }
  return nullptr;
}

// Refuses related models whose equations Linnet does not implement.
void RefuseRelatives(const Checkpoint& c) {
  const auto refuse = [&](const char* name) {
    Refuse(c, fmt::format("this is {}, a relative of RWKV that Linnet does not run yet; it runs "
                          "RWKV-{}",
                          name, fmt::join(GenerationNames(), ", ")));
  };
  const Family* family = FamilyOf(c);
  if (family != nullptr && !family->generation) refuse(family->name);
  // Its tensors do not tell; those of the paper's variants do in their names.
  if (family != nullptr && family->generation == Generation::kGoldFinch &&
      c.file().path().filename().string().find("rope") != std::string::npos) {
    refuse("GoldFinch with rotary positions, by its file's name");
  }
  // Time-mix parts in place of a Transformer's attention, or together with Transformer parts.
  const bool layers = AnyContains(c, "layers.") && AnyContains(c, "self_attn.");
  const bool mix = AnyContains(c, ".att.");
  const bool swiglu = AnyContains(c, ".ffn.gate.weight") || AnyContains(c, ".mlp.gate_proj.");
  if ((layers && HasTimeMixParts(c)) || (mix && swiglu)) {
    refuse("a hybrid of RWKV and a Transformer (QRWKV, ARWKV)");
  }
  if (layers) {
    Refuse(c, "this is a Transformer (Llama, Qwen and the like), expected an RWKV model");
  }
  if (c.Has("ln3.weight") && !AnyContains(c, ".att.")) refuse("RWKV-8 (research)");
}

}  // namespace

void RefuseForeignAdapter(const Checkpoint& c) {
  for (const TensorView& t : c.tensors()) {
    for (const char* own : {"blocks.", "emb.", "head.", "ln_out."}) {
      if (t.name.rfind(own, 0) == 0) return;
    }
  }
  const bool transformer = AnyContains(c, ".self_attn.") || AnyContains(c, ".mlp.");
  Refuse(c, fmt::format("this is an adapter (LoRA and the like) of {}, with tensors such as {}; "
                        "expected one of RWKV, such as blocks.0.att.key.lora_A",
                        transformer ? "a Transformer (Llama, Qwen and the like)"
                                    : "a model that is not RWKV under BlinkDL's names",
                        c.tensors().front().name));
}

namespace {

void RefuseOthers(const Checkpoint& c) {
  switch (KindOf(c)) {
    case FileKind::kAdapter:
      RefuseForeignAdapter(c);
      Refuse(c,
             "this is an adapter (LoRA and the like), not a whole model; open the model it was "
             "trained on");
    case FileKind::kTimeState:
      Refuse(c,
             "this is a tuned initial state, not a model; open its model and start from this file",
             Remedy::kUseAsState);
    case FileKind::kState:
      Refuse(c, "this is a saved state, not a model; open its model and start from this file",
             Remedy::kUseAsState);
    default:
      break;
  }
  if (c.Has("state.000")) {
    Refuse(c,
           "this is a state as ChatRWKV keeps it, a list of tensors, not a model; open its model "
           "and import this file");
  }
  if (AnyContains(c, "exp_avg")) {
    Refuse(c, "this is an optimizer's state, not a model; use the weights saved beside it");
  }
  if (AnyContains(c, "h.0.attn.c_attn") || AnyContains(c, "transformer.h.") ||
      AnyContains(c, "attention.query_key_value")) {
    Refuse(c, "this is a Transformer (GPT), expected an RWKV model");
  }
  const std::string first =
      c.tensors().empty()
          ? "no tensors"
          : fmt::format("{} tensors such as {}", c.tensors().size(), c.tensors().front().name);
  Refuse(c, fmt::format("holds {}, expected an RWKV model (emb.weight, blocks.0.att.… )", first));
}

// Strides of 0 let a small file claim tensors of any size, and packing would allocate all of it.
// Shared weights legitimately show a few bytes twice.
void RefuseInflated(const Checkpoint& c) {
  constexpr uint64_t kTimes = 4;
  const uint64_t limit = kTimes * c.file().file_bytes();
  uint64_t claimed = 0;
  for (const TensorView& t : c.tensors()) {
    if (t.encoding != nullptr) continue;  // its bytes were checked on opening
    if (t.elements() > limit) claimed = limit;
    claimed += t.elements() * ElementBytes(t.type);
    if (claimed > limit) {
      Refuse(c, fmt::format("its tensors claim more than {} times the file's {} bytes; the file is "
                            "broken",
                            kTimes, c.file().file_bytes()));
    }
  }
}

const TensorView& Need(const Checkpoint& c, const std::string& name, size_t dimensions) {
  const TensorView* t = c.Find(name);
  if (t == nullptr) {
    Refuse(c, name + " is missing: the file is incomplete or not an RWKV model");
  }
  if (t->shape.size() != dimensions) {
    Refuse(c, fmt::format("{}, expected {} dimensions", Describe(*t), dimensions));
  }
  return *t;
}

[[noreturn]] void RefuseHeadless(const Checkpoint& c) {
  const bool hub = c.naming() == TensorNaming::kFla || c.naming() == TensorNaming::kHuggingFace;
  Refuse(c, fmt::format("head.weight is missing: the file is incomplete{}",
                        hub ? ", or its head is its embedding and no config.json beside it says so "
                              "(tie_word_embeddings)"
                            : ""));
}

std::optional<Generation> GenerationOf(const Checkpoint& c) {
  const Family* family = FamilyOf(c);
  if (family == nullptr) return std::nullopt;
  if (family->generation != Generation::k52) return family->generation;
  if (!c.Has("blocks.0.att.gate.weight")) return Generation::k50;
  const TensorView* decay = c.Find("blocks.0.att.time_decay");
  // 5.1's decay is one value per head, stored as [H] or [H, 1].
  const bool channels =
      decay != nullptr && decay->shape.size() > 1 && decay->elements() > decay->shape[0];
  return channels ? Generation::k52 : Generation::k51;
}

// Part of a sharded file, or a file with missing tensors, must not run as a smaller model.
size_t CountLayers(const Checkpoint& c) {
  size_t layers = 0;
  while (c.Has(BlockName(layers, "ln1.weight"))) ++layers;
  for (const TensorView& t : c.tensors()) {
    const auto place = SplitBlockName(t.name);
    if (!place || place->layer < layers || layers == 0) continue;
    Refuse(c, fmt::format("{}, but blocks.{}.ln1.weight is missing: the file is incomplete",
                          Describe(t), layers));
  }
  return layers;
}

// Those of the first layer; the others must have as many.
void CountExperts(const Checkpoint& c, Config& config) {
  if (config.generation != Generation::k6moe) return;
  while (c.Has(BlockName(0, ExpertName(config.experts, "ffn_key.weight")))) ++config.experts;
  if (config.experts > kMostExperts) {
    Refuse(c, fmt::format("has {} experts a layer, expected at most {}", config.experts,
                          kMostExperts));
  }
  if (config.layers <= kRoutedLayers) return;
  Refuse(c, fmt::format("has {} layers; the routing of experts is known for {}", config.layers,
                        kRoutedLayers));
}

// The number of columns of a [C, rank] matrix.
size_t Rank(const Checkpoint& c, const std::string& name, size_t width) {
  const TensorView& t = Need(c, name, 2);
  if (t.shape[0] != width || t.shape[1] == 0 || t.shape[1] > 16 * width) {
    Refuse(c, fmt::format("{}, expected [{}, rank]", Describe(t), width));
  }
  return t.shape[1];
}

void ReadHeads(const Checkpoint& c, Config& config) {
  const size_t A = config.att_width;
  size_t heads = 1;
  const BlockSchema& schema = SchemaOf(config.generation);
  const char* source = schema.heads_from;
  if (source != nullptr) {
    const std::string name = BlockName(0, source);
    const TensorView* t = c.Find(name);
    if (schema.heads_dimensions != 0) t = &Need(c, name, schema.heads_dimensions);
    if (t == nullptr || t->shape.empty()) Refuse(c, name + " is missing: the file is incomplete");
    heads = t->shape[0];
  }
  if (heads == 0 || A % heads != 0 || (source != nullptr && A / heads > 256)) {
    Refuse(c, fmt::format("{} heads do not divide the attention width {}", heads, A));
  }
  config.heads = heads;
  config.head_size = A / heads;
}

// Of the kind of layers that begins with layer `first`.
void ReadRanks(const Checkpoint& c, const BlockSchema& schema, size_t first, Config& config) {
  for (const RankSource& source : schema.ranks) {
    // A layer that the model does not have tells nothing: v7's first layer needs no v1, and not
    // every file contains it.
    if (first + source.layer >= config.layers) continue;
    const std::string name = BlockName(first + source.layer, source.tensor);
    const size_t columns = Rank(c, name, config.width);
    if (columns % source.slices != 0) {
      Refuse(c, fmt::format("{} has {} columns, expected a multiple of {}", name, columns,
                            source.slices));
    }
    config.ranks[source.rank] = columns / source.slices;
  }
}

void ReadRanks(const Checkpoint& c, Config& config) {
  const BlockSchema& schema = SchemaOf(config.generation);
  ReadRanks(c, schema, 0, config);
  if (schema.attention == nullptr) return;
  config.ranks["cache"] = Need(c, kCacheName, 2).shape[0];
  while (!c.Has(BlockName(config.attention_from, schema.attention->ranks.front().tensor))) {
    if (++config.attention_from < config.layers) continue;
    Refuse(c, fmt::format("{}, but no layer of attention: the file is incomplete",
                          Describe(*c.Find(kCacheName))));
  }
  ReadRanks(c, *schema.attention, config.attention_from, config);
}

// Tensors that no layer uses, which trainers write anyway, and the training data in our
// checkpoints. Other files than language models have heads of their own, which are read when they
// are asked for; the language model's is then what is left of the one that training began with.
bool IsKnownUnused(Generation generation, Purpose purpose, const std::string& name) {
  if (purpose == Purpose::kEmbedding) {
    // Of images EmbeddingRWKV has an encoder (vit) and a projection (proj).
    for (const char* own : {"head.", "vit.", "proj."}) {
      if (name.starts_with(own)) return true;
    }
  }
  if (purpose == Purpose::kReranker && name.starts_with("head.")) return true;
  const ParameterSpec* p = FindParameter(generation, name);
  return (p != nullptr && (p->unused || p->idle)) || name.starts_with(kTrainingPrefix);
}

// Includes llama.cpp's name, which is kept for tensors that the table of names does not contain.
bool IsOfALayer(const std::string& name) {
  return name.starts_with("blocks.") || name.starts_with("blk.");
}

}  // namespace

void RefuseUnused(const Checkpoint& c, Generation generation,
                  const std::set<std::string, std::less<>>& used, const std::string& trouble) {
  const Purpose purpose = PurposeOf(c);
  for (const TensorView& t : c.tensors()) {
    if (used.count(t.name) != 0 || IsKnownUnused(generation, purpose, t.name)) continue;
    if (!IsFloat(t.type) && !IsOfALayer(t.name)) continue;
    Refuse(c, Describe(t) + trouble);
  }
}

const char* Name(Generation generation) {
  switch (generation) {
    case Generation::k4:
      return "4";
    case Generation::k50:
      return "5.0";
    case Generation::k51:
      return "5.1";
    case Generation::k52:
      return "5.2";
    case Generation::k6:
      return "6";
    case Generation::k6moe:
      return "6moe";
    case Generation::k7:
      return "7";
    case Generation::k7a:
      return "7a";
    case Generation::k7b:
      return "7b";
    case Generation::kGoldFinch:
      return "goldfinch";
  }
  return "?";
}

const char* Name(Purpose purpose) {
  switch (purpose) {
    case Purpose::kText:
      return "text";
    case Purpose::kEmbedding:
      return "embedding";
    case Purpose::kReranker:
      return "reranker";
  }
  return "?";
}

Purpose PurposeOf(const Checkpoint& c) {
  for (const char* mark : {"head.retr_head.", "head.sts_head.", "head.cls_head."}) {
    if (AnyContains(c, mark)) return Purpose::kEmbedding;
  }
  return c.Has("head.0.weight") && c.Has("head.2.weight") ? Purpose::kReranker : Purpose::kText;
}

std::string NoTextOf(Purpose purpose, const std::string& file) {
  return fmt::format("{}: is {}; it predicts no tokens", file,
                     purpose == Purpose::kEmbedding
                         ? "EmbeddingRWKV, a model that makes vectors of texts"
                         : "a reranker, which goes with the states of an embedding model");
}

const char* Name(FileKind kind) {
  switch (kind) {
    case FileKind::kModel:
      return "model";
    case FileKind::kAdapter:
      return "adapter";
    case FileKind::kTimeState:
      return "time_state";
    case FileKind::kState:
      return "state";
    case FileKind::kUnknown:
      return "unknown";
  }
  return "?";
}

std::string Describe(const TensorView& tensor) {
  return fmt::format("{} is {}[{}]", tensor.name, TypeName(tensor), fmt::join(tensor.shape, ", "));
}

FileKind KindOf(const Checkpoint& c) {
  const bool head = c.Has("head.weight") || PurposeOf(c) != Purpose::kText;
  if (c.Has("emb.weight") && head && GenerationOf(c)) return FileKind::kModel;
  const auto& metadata = c.file().metadata();
  const auto kind = metadata.find("kind");
  if (kind != metadata.end() && kind->second == "linnet state") return FileKind::kState;
  for (const char* mark : {".lora_A", ".lora_B", ".bone", ".disha", "lora_M", "init_lora"}) {
    if (AnyContains(c, mark)) return FileKind::kAdapter;
  }
  // web-rwkv's names; the low-rank matrices of an fla model are *_lora.lora.0.weight.
  for (const TensorView& t : c.tensors()) {
    if (t.name.ends_with(".lora.0") || t.name.ends_with(".lora.1")) return FileKind::kAdapter;
  }
  if (AnyContains(c, ".att.time_state")) return FileKind::kTimeState;
  return FileKind::kUnknown;
}

Config ConfigOf(const Checkpoint& c) {
  if (KindOf(c) == FileKind::kAdapter) RefuseForeignAdapter(c);
  RefuseRelatives(c);
  RefuseInflated(c);
  const auto generation = GenerationOf(c);
  if (!generation || !c.Has("emb.weight")) RefuseOthers(c);
  Config config;
  config.generation = *generation;
  config.purpose = PurposeOf(c);
  if (config.purpose == Purpose::kText && !c.Has("head.weight")) RefuseHeadless(c);
  const TensorView& emb = Need(c, "emb.weight", 2);
  config.vocab = emb.shape[0];
  config.width = emb.shape[1];
  config.layers = CountLayers(c);
  config.att_width = Need(c, "blocks.0.att.key.weight", 2).shape[0];
  config.ffn = Need(c, "blocks.0.ffn.key.weight", 2).shape[0];
  if (config.vocab == 0 || config.width == 0 || config.layers == 0 || config.att_width == 0 ||
      config.ffn == 0) {
    Refuse(c, "a dimension of the model is 0");
  }
  ReadHeads(c, config);
  ReadRanks(c, config);
  CountExperts(c, config);
  ApplyHeader(c.header(), c.file().path().string(), config);
  return config;
}

}  // namespace linnet
