#include "models/gguf_convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/lower.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/gguf_names.h"
#include "models/init.h"

namespace linnet {
namespace {

constexpr size_t kBlockValues = size_t{1} << 20;  // read at once, or one row
constexpr uint32_t kContext = 1048576;            // no limit in RWKV; llama.cpp writes this
constexpr size_t kChatBreak = 261;                // "\n\n" of the World vocabulary ends a turn

bool EndsWith(std::string_view text, std::string_view ending) {
  return text.size() >= ending.size() && text.substr(text.size() - ending.size()) == ending;
}

// A tensor to write, and the views whose values it contains, in order.
struct Item {
  GgufTensor tensor;
  std::vector<TensorView> parts;
};

class Planner {
 public:
  Planner(const Checkpoint& in, const Config& config, GgufType type)
      : in_(in), config_(config), type_(type), v7_(config.generation == Generation::k7) {}

  // The tensors to write, in order. Throws if they do not cover the whole model.
  std::vector<Item> Run() {
    for (const ParameterSpec& p : NewParameters(config_)) Add(p);
    RefuseUnused(in_, config_.generation, used_,
                 ", which a GGUF file has no place for; write .safetensors or .pth");
    return std::move(items_);
  }

 private:
  const TensorView& Find(const std::string& name) {
    used_.insert(name);
    const TensorView* t = in_.Find(name);
    if (t != nullptr) return *t;
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: {} is missing (RWKV-{})", in_.file().path().string(), name,
                            Name(config_.generation)));
  }

  void Add(const ParameterSpec& p) {
    const std::string& name = p.name;
    if (EndsWith(name, v7_ ? ".att.x_r" : ".att.time_maa_w")) return AddMixes(name);
    for (const char mix : std::string_view(v7_ ? "wkvag" : "kvrg")) {
      if (EndsWith(name, std::string(v7_ ? ".att.x_" : ".att.time_maa_") + mix)) return;
    }
    const std::string gguf = GgufName(p);
    if (gguf.empty()) return;
    const TensorView& t = Find(name);
    if (t.elements() != p.elements()) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: {}, expected {} values", in_.file().path().string(), Describe(t),
                              p.elements()));
    }
    const TensorView view = Oriented(p, t);
    if (v7_ && name.rfind("blocks.0.att.a", 0) == 0) {
      // llama.cpp requires layer 0's v0, v1, v2, but does not use them.
      std::string copy = gguf;
      copy.replace(copy.find("time_mix_a"), 10, "time_mix_v");
      items_.push_back({{copy, GgufType::kF32, view.shape}, {view}});
    }
    items_.push_back({{gguf, TypeOf(name, view), view.shape}, {view}});
  }

  // Writes all mixes of a layer as one tensor [mixes, 1, 1, C].
  void AddMixes(const std::string& first) {
    const std::string stem = first.substr(0, first.size() - 1);
    const std::string_view mixes = v7_ ? "rwkvag" : "wkvrg";
    Item item{{"blk." + first.substr(7, first.find('.', 7) - 7) + ".time_mix_lerp_fused.weight",
               GgufType::kF32,
               {mixes.size(), 1, 1, config_.width}},
              {}};
    for (const char mix : mixes) {
      const TensorView& t = Find(stem + mix);
      if (t.elements() != config_.width) {
        throw Error(ErrorKind::kBadModel,
                    fmt::format("{}: {}, expected [{}]", in_.file().path().string(), Describe(t),
                                config_.width));
      }
      item.parts.push_back(t);
    }
    items_.push_back(std::move(item));
  }

  // The shape in llama.cpp's files: vectors flat, low-rank factors [out, in].
  static TensorView Oriented(const ParameterSpec& p, const TensorView& t) {
    TensorView view = t;
    if (p.role == ParameterRole::kFactor && t.shape.size() >= 2) return t.Transposed();
    const bool flat = !EndsWith(p.name, ".weight") && !EndsWith(p.name, ".time_faaaa");
    if (flat && t.contiguous()) {
      view.shape = {t.elements()};
      view.strides = {1};
    }
    return view;
  }

  GgufType TypeOf(const std::string& name, const TensorView& t) const {
    if (t.shape.size() != 2 || !EndsWith(name, ".weight")) return GgufType::kF32;
    return type_ == GgufType::kQ8_0 && t.shape[1] % 32 != 0 ? GgufType::kF16 : type_;
  }

  const Checkpoint& in_;
  const Config& config_;
  GgufType type_;
  bool v7_;
  std::vector<Item> items_;
  std::set<std::string, std::less<>> used_;  // names of the model's tensors
};

std::vector<GgufKey> KeysOf(const Config& c, const std::string& name, GgufType type) {
  const bool v7 = c.generation == Generation::k7;
  const std::string arch = v7 ? "rwkv7" : "rwkv6";
  constexpr uint32_t kFileTypes[] = {0, 1, 32, 7};
  const auto number = [](size_t n) { return static_cast<uint32_t>(n); };
  std::vector<GgufKey> keys = {{"general.architecture", arch},
                               {"general.type", std::string("model")},
                               {"general.name", name},
                               {"general.file_type", kFileTypes[static_cast<size_t>(type)]},
                               {"general.quantization_version", uint32_t{2}},
                               {arch + ".context_length", kContext},
                               {arch + ".embedding_length", number(c.width)},
                               {arch + ".block_count", number(c.layers)},
                               {arch + ".feed_forward_length", number(c.ffn)},
                               {arch + ".attention.head_count", uint32_t{0}},
                               {arch + ".attention.layer_norm_epsilon", c.norm_eps},
                               {arch + ".wkv.head_size", number(c.head_size)}};
  const auto add = [&](const char* key, size_t n) { keys.push_back({arch + key, number(n)}); };
  if (!v7) {
    add(".rescale_every_n_layers", 0);
    add(".time_mix_extra_dim", c.ranks.at("mix"));
    add(".time_decay_extra_dim", c.ranks.at("decay"));
    return keys;
  }
  const auto v = c.ranks.find("v");
  add(".attention.decay_lora_rank", c.ranks.at("w"));
  add(".attention.iclr_lora_rank", c.ranks.at("a"));
  add(".attention.value_residual_mix_lora_rank", v == c.ranks.end() ? c.ranks.at("a") : v->second);
  add(".attention.gate_lora_rank", c.ranks.at("g"));
  return keys;
}

void AddVocabulary(const GgufVocabulary& vocabulary, const Config& c, std::vector<GgufKey>& keys) {
  const std::string stem = "tokenizer.ggml.";
  if (vocabulary.tokens.size() != c.vocab) {
    keys.push_back({stem + "model", std::string("no_vocab")});
    const std::string arch = c.generation == Generation::k7 ? "rwkv7" : "rwkv6";
    keys.push_back({arch + ".vocab_size", static_cast<uint32_t>(c.vocab)});
    return;
  }
  keys.push_back({stem + "model", vocabulary.model});
  keys.push_back({stem + "tokens", vocabulary.tokens});
  keys.push_back({stem + "token_type", vocabulary.kinds});
  keys.push_back({stem + "bos_token_id", uint32_t{0}});
  keys.push_back({stem + "eos_token_id", uint32_t{0}});
  if (c.vocab <= kChatBreak || vocabulary.tokens[kChatBreak] != "\\n\\n") return;
  keys.push_back({stem + "eot_token_id", static_cast<uint32_t>(kChatBreak)});
  keys.push_back({"tokenizer.chat_template", std::string("rwkv-world")});
}

class Writer {
 public:
  Writer(const Checkpoint& in, const ConvertOptions& options, GgufWriter& out)
      : in_(in), options_(options), out_(out) {}

  void Write(const Item& item) {
    for (const TensorView& t : item.parts) {
      const size_t step = std::max<size_t>(1, kBlockValues / std::max<size_t>(t.cols(), 1));
      for (size_t begin = 0; begin < t.rows(); begin += step) {
        const size_t count = std::min(step, t.rows() - begin);
        values_.resize(count * t.cols());
        ReadRows(t, begin, count, values_.data());
        if (item.tensor.type != GgufType::kF32 && item.tensor.type != GgufType::kBF16) Check(t);
        out_.Append(values_);
        done_ += values_.size() * (t.type == SourceType::kF32 ? 4 : 2);
        if (options_.progress) options_.progress(done_, in_.file().file_bytes());
      }
      in_.file().Drop(t);
    }
  }

 private:
  void Check(const TensorView& t) const {
    for (const float x : values_) {
      if (std::abs(x) < 65520.0f) continue;  // rejects NaN and values that round to infinity
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: {} holds {}, which f16 cannot (at most 65504); use bf16 or f32",
                              in_.file().path().string(), t.name, x));
    }
  }

  const Checkpoint& in_;
  const ConvertOptions& options_;
  GgufWriter& out_;
  uint64_t done_ = 0;
  std::vector<float> values_;
};

}  // namespace

std::optional<GgufType> ParseGgufType(std::string_view name) {
  const std::string lower = Lower(std::string(name));
  if (lower == "f32") return GgufType::kF32;
  if (lower == "f16") return GgufType::kF16;
  if (lower == "bf16") return GgufType::kBF16;
  if (lower == "q8_0") return GgufType::kQ8_0;
  return std::nullopt;
}

Converted ConvertToGguf(const Checkpoint& in, const std::filesystem::path& out, GgufType type,
                        const GgufVocabulary& vocabulary, const ConvertOptions& options) {
  const Config config = ConfigOf(in);
  if (config.purpose != Purpose::kText) {
    throw Error(ErrorKind::kBadModel, NoTextOf(config.purpose, in.file().path().string()) +
                                          ", and GGUF has no names for what it has instead; write "
                                          ".safetensors");
  }
  const bool known = config.generation == Generation::k6 || config.generation == Generation::k7;
  if (!known || config.att_width != config.width) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: RWKV-{}{}, but GGUF holds RWKV-6 and 7 of one width; write "
                            ".safetensors or .pth",
                            in.file().path().string(), Name(config.generation),
                            known ? " with another width of attention" : ""));
  }
  RefuseLostEpsilons(config, in.file().path(), out);
  const auto items = Planner(in, config, type).Run();
  auto keys = KeysOf(config, in.file().path().stem().string(), type);
  AddVocabulary(vocabulary, config, keys);
  std::vector<GgufTensor> tensors;
  Converted converted;
  for (const Item& item : items) {
    tensors.push_back(item.tensor);
    ++converted.tensors;
    for (const TensorView& t : item.parts) converted.parameters += t.elements();
  }
  GgufWriter writer(out, keys, std::move(tensors));
  Writer copier(in, options, writer);
  for (const Item& item : items) copier.Write(item);
  writer.Finish();
  return converted;
}

}  // namespace linnet
