#include "models/gguf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <utility>

#include "io/ggml_tensor.h"
#include "io/quoted.h"
#include "linnet/error.h"
#include "models/header.h"

namespace linnet {
namespace {

struct Rename {
  std::string_view blinkdl, gguf;
};

constexpr Rename kOuter[] = {{"emb.weight", "token_embd.weight"},
                             {"blocks.0.ln0.weight", "token_embd_norm.weight"},
                             {"blocks.0.ln0.bias", "token_embd_norm.bias"},
                             {"ln_out.weight", "output_norm.weight"},
                             {"ln_out.bias", "output_norm.bias"},
                             {"head.weight", "output.weight"}};

// Names within a layer. If both generations have a tensor under one GGUF name, v6's is listed
// first.
constexpr Rename kInner[] = {{"ln1.weight", "attn_norm.weight"},
                             {"ln1.bias", "attn_norm.bias"},
                             {"ln2.weight", "attn_norm_2.weight"},
                             {"ln2.bias", "attn_norm_2.bias"},
                             {"att.ln_x.weight", "time_mix_ln.weight"},
                             {"att.ln_x.bias", "time_mix_ln.bias"},
                             {"att.receptance.weight", "time_mix_receptance.weight"},
                             {"att.key.weight", "time_mix_key.weight"},
                             {"att.value.weight", "time_mix_value.weight"},
                             {"att.gate.weight", "time_mix_gate.weight"},
                             {"att.output.weight", "time_mix_output.weight"},
                             {"ffn.key.weight", "channel_mix_key.weight"},
                             {"ffn.receptance.weight", "channel_mix_receptance.weight"},
                             {"ffn.value.weight", "channel_mix_value.weight"},
                             {"att.time_maa_x", "time_mix_lerp_x.weight"},
                             {"att.time_maa_w", "time_mix_lerp_w.weight"},
                             {"att.time_maa_k", "time_mix_lerp_k.weight"},
                             {"att.time_maa_v", "time_mix_lerp_v.weight"},
                             {"att.time_maa_r", "time_mix_lerp_r.weight"},
                             {"att.time_maa_g", "time_mix_lerp_g.weight"},
                             {"att.time_maa_w1", "time_mix_w1.weight"},
                             {"att.time_maa_w2", "time_mix_w2.weight"},
                             {"att.time_decay", "time_mix_decay.weight"},
                             {"att.time_decay_w1", "time_mix_decay_w1.weight"},
                             {"att.time_decay_w2", "time_mix_decay_w2.weight"},
                             {"att.time_faaaa", "time_mix_first.weight"},
                             {"ffn.time_maa_k", "channel_mix_lerp_k.weight"},
                             {"ffn.time_maa_r", "channel_mix_lerp_r.weight"},
                             {"att.w0", "time_mix_w0.weight"},
                             {"att.w1", "time_mix_w1.weight"},
                             {"att.w2", "time_mix_w2.weight"},
                             {"att.a0", "time_mix_a0.weight"},
                             {"att.a1", "time_mix_a1.weight"},
                             {"att.a2", "time_mix_a2.weight"},
                             {"att.v0", "time_mix_v0.weight"},
                             {"att.v1", "time_mix_v1.weight"},
                             {"att.v2", "time_mix_v2.weight"},
                             {"att.g1", "time_mix_g1.weight"},
                             {"att.g2", "time_mix_g2.weight"},
                             {"att.k_k", "time_mix_k_k.weight"},
                             {"att.k_a", "time_mix_k_a.weight"},
                             {"att.r_k", "time_mix_r_k.weight"},
                             {"ffn.x_k", "channel_mix_lerp_k.weight"}};

constexpr std::string_view kLerpFused = "time_mix_lerp_fused.weight";

// "blk.12.rest" → 12, "rest".
struct InLayer {
  size_t layer;
  std::string_view rest;
};
std::optional<InLayer> SplitLayer(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  name.remove_prefix(prefix.size());
  size_t layer = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  name.remove_prefix(static_cast<size_t>(end - name.data()) + 1);
  return InLayer{layer, name};
}

bool OneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void SetShape(TensorView& t, std::vector<size_t> shape) {
  t.strides = ContiguousStrides(shape);
  t.shape = std::move(shape);
}

// The released values of a tensor that a converter transformed.
class Restored final : public Encoding {
 public:
  enum class What : uint8_t {
    kTimes,        // x / factor
    kExp,          // exp(x)
    kMinusExp,     // -exp(x)
    kExpMinusExp,  // exp(-exp(x))
  };
  Restored(TensorView source, What what, float factor = 1.0f)
      : source_(std::move(source)), what_(what), factor_(factor) {}

  const char* type_name() const override { return linnet::Name(source_.type); }
  size_t rows() const override { return source_.rows(); }
  size_t cols() const override { return source_.cols(); }
  std::span<const std::byte> bytes() const override {
    return {source_.data, source_.elements() * ElementBytes(source_.type)};
  }
  void Read(size_t begin, size_t count, float* out) const override {
    ReadRows(source_, begin, count, out);
    for (size_t i = 0; i < count * cols(); ++i) out[i] = Undo(out[i]);
  }

 private:
  float Undo(float x) const {
    switch (what_) {
      case What::kTimes:
        return x * factor_;
      case What::kExp:
        return static_cast<float>(std::log(double{x}));
      case What::kMinusExp:
        return static_cast<float>(std::log(-double{x}));
      case What::kExpMinusExp:
        return static_cast<float>(std::log(-std::log(double{x})));
    }
    return x;
  }

  TensorView source_;
  What what_;
  float factor_;
};

class Renamer {
 public:
  explicit Renamer(const TensorFile& file) : file_(file) {}

 protected:
  void Keep(TensorView t) { renamed_.views.push_back(std::move(t)); }

  TensorView Restore(const TensorView& t, Restored::What what, float factor = 1.0f) {
    TensorView view = t;
    if (const auto* blocks = dynamic_cast<const GgmlMatrix*>(t.encoding)) {
      // Matrices are only multiplied by a factor.
      renamed_.encodings.push_back(std::make_unique<GgmlMatrix>(
          blocks->block(), blocks->rows(), blocks->cols(), blocks->bytes().data(), factor));
    } else {
      renamed_.encodings.push_back(std::make_unique<Restored>(t, what, factor));
      view.data = nullptr;
    }
    view.encoding = renamed_.encodings.back().get();
    return view;
  }

  // Vector i of the `parts` vectors stored in one tensor, as [1, 1, C].
  TensorView SliceOf(const TensorView& t, size_t parts, size_t i) {
    const size_t n = t.elements() / parts;
    TensorView rows = t;
    SetShape(rows, {parts, n});
    TensorView part = rows.Slice(i, 1);
    SetShape(part, {1, 1, n});
    return part;
  }

  const TensorFile& file_;
  RenamedTensors renamed_;
};

class GgufRenamer : Renamer {
 public:
  explicit GgufRenamer(const TensorFile& file) : Renamer(file) {}

  RenamedTensors Run() {
    CheckKind();
    // llama.cpp uses this key only for rwkv6.
    rescale_ = v7_ ? 0 : NumberOf(file_, "rwkv6.rescale_every_n_layers").value_or(0);
    head_size_ = NumberOf(file_, v7_ ? "rwkv7.wkv.head_size" : "rwkv6.wkv.head_size").value_or(0);
    for (const TensorView& t : file_.tensors()) Take(t);
    return std::move(renamed_);
  }

 private:
  void CheckKind() {
    const auto value = [&](const char* key) {
      const auto it = file_.metadata().find(key);
      return it == file_.metadata().end() ? std::string() : it->second;
    };
    const std::string architecture = value("general.architecture");
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorKind::kBadModel, file_.path().string() + ": " + what);
    };
    v7_ = architecture == "rwkv7";
    if (!v7_ && architecture != "rwkv6") {
      const bool hybrid = architecture == "rwkv6qwen2" || architecture == "arwkv7";
      refuse(fmt::format("a GGUF file of architecture {}{}, expected rwkv6 or rwkv7",
                         architecture.empty() ? "?" : Quoted(architecture),
                         hybrid ? " (a hybrid of RWKV and a Transformer)" : ""));
    }
    if (value("general.type") == "adapter") {
      refuse("this is an adapter (LoRA), not a whole model; open the model it was trained on");
    }
    const std::string parts = value("split.count");
    if (!parts.empty() && parts != "0" && parts != "1") {
      refuse(
          fmt::format("one of the {} parts of a split GGUF file, expected one whole; merge them "
                      "with llama-gguf-split --merge",
                      Quoted(parts)));
    }
  }

  void Take(const TensorView& t) {
    for (const auto& [blinkdl, gguf] : kOuter) {
      if (t.name != gguf) continue;
      TensorView view = t;
      view.name = blinkdl;
      return Keep(std::move(view));
    }
    if (const auto place = SplitLayer(t.name, "blk.")) return TakeInner(t, *place);
    Keep(t);
  }

  void TakeInner(const TensorView& t, const InLayer& place) {
    const std::string block = fmt::format("blocks.{}.", place.layer);
    const size_t mixes = v7_ ? 6 : 5;
    if (place.rest == kLerpFused && t.elements() % mixes == 0) {
      for (size_t i = 0; i < mixes; ++i) {
        TensorView part = SliceOf(t, mixes, i);
        part.name = v7_ ? block + "att.x_" + "rwkvag"[i] : block + "att.time_maa_" + "wkvrg"[i];
        Keep(std::move(part));
      }
      return;
    }
    for (const auto& [blinkdl, gguf] : kInner) {
      const bool only_v6 = blinkdl.find(".time_") != std::string_view::npos;
      if (place.rest != gguf || (only_v6 && v7_)) continue;
      if (place.layer == 0 && OneOf(blinkdl, {"att.v0", "att.v1", "att.v2"})) return;
      TensorView view = Released(t, blinkdl, place.layer);
      view.name = block;
      view.name += blinkdl;
      return Keep(std::move(view));
    }
    Keep(t);
  }

  TensorView Released(const TensorView& t, std::string_view name, size_t layer) {
    TensorView view = t;
    const size_t n = t.elements();
    if (OneOf(name,
              {"att.time_maa_w1", "att.time_maa_w2", "att.time_decay_w1", "att.time_decay_w2",
               "att.w1", "att.w2", "att.a1", "att.a2", "att.v1", "att.v2", "att.g1", "att.g2"})) {
      return t.shape.size() >= 2 ? t.Transposed() : view;
    }
    if (name == "att.r_k") {
      if (head_size_ != 0 && n % head_size_ == 0) SetShape(view, {n / head_size_, head_size_});
      return view;
    }
    const size_t powers = GgufRescale(layer, rescale_);
    if (powers != 0 && OneOf(name, {"att.output.weight", "ffn.value.weight"})) {
      // The limit of 2^120 keeps the factor finite for damaged files.
      const float factor = std::ldexp(1.0f, static_cast<int>(std::min<size_t>(powers, 120)));
      return Restore(t, Restored::What::kTimes, factor);
    }
    const bool vector = !OneOf(name, {"att.time_faaaa"}) && name.find("weight") == name.npos &&
                        name.find("bias") == name.npos;
    if (vector) SetShape(view, {1, 1, n});
    return view;
  }

  bool v7_ = false;
  size_t rescale_ = 0, head_size_ = 0;
};

class GgmfRenamer : Renamer {
 public:
  explicit GgmfRenamer(const TensorFile& file) : Renamer(file) {}

  RenamedTensors Run() {
    const auto has = [&](const char* name) { return file_.Find(name) != nullptr; };
    v7_ = has("blocks.0.att.r_k");
    v6_ = has("blocks.0.att.time_maa_x");
    v5_ = !v6_ && !v7_ && has("blocks.0.att.ln_x.weight");
    for (const TensorView& t : file_.tensors()) Take(t);
    return std::move(renamed_);
  }

 private:
  void Take(const TensorView& t) {
    const auto place = SplitLayer(t.name, "blocks.");
    const std::string_view name = place ? place->rest : std::string_view{};
    if (name == "att.x_rwkvag" && t.elements() % 6 == 0) {
      for (size_t i = 0; i < 6; ++i) {
        TensorView part = SliceOf(t, 6, i);
        part.name = t.name.substr(0, t.name.size() - 6) + "rwkvag"[i];
        Keep(std::move(part));
      }
      return;
    }
    TensorView view = WithoutOnes(t, name);
    if (name == "att.time_decay" && !v6_) {
      using What = Restored::What;
      return Keep(Restore(view, v5_ ? What::kExpMinusExp : What::kMinusExp));
    }
    if (name == "att.time_first" && v5_) return Keep(Restore(view, Restored::What::kExp));
    const bool factor = v7_ ? OneOf(name, {"att.w1", "att.w2", "att.a1", "att.a2", "att.v1",
                                           "att.v2", "att.g1", "att.g2"})
                            : OneOf(name, {"att.time_maa_w1", "att.time_maa_w2",
                                           "att.time_decay_w1", "att.time_decay_w2"});
    Keep(factor && view.shape.size() >= 2 ? view.Transposed() : std::move(view));
  }

  // ggml's broadcasts need trailing dimensions of 1 for values per head.
  TensorView WithoutOnes(const TensorView& t, std::string_view name) const {
    TensorView view = t;
    if (v6_ && name == "att.time_decay") {
      SetShape(view, {1, 1, t.elements()});
    } else if (OneOf(name, {"att.time_decay", "att.time_first", "att.time_faaaa"})) {
      while (view.shape.size() > 1 && view.shape.back() == 1) {
        view.shape.pop_back();
        view.strides.pop_back();
      }
    }
    return view;
  }

  bool v5_ = false, v6_ = false, v7_ = false;
};

}  // namespace

RenamedTensors FromGguf(const TensorFile& file) { return GgufRenamer(file).Run(); }
RenamedTensors FromGgmf(const TensorFile& file) { return GgmfRenamer(file).Run(); }

size_t GgufRescale(size_t layer, size_t every) { return every == 0 ? 0 : layer / every; }

std::string GgufName(const std::string& name) {
  for (const auto& [blinkdl, gguf] : kOuter) {
    if (name == blinkdl) return std::string(gguf);
  }
  const auto place = SplitLayer(name, "blocks.");
  if (!place) return {};
  for (const auto& [blinkdl, gguf] : kInner) {
    if (place->rest == blinkdl) return fmt::format("blk.{}.{}", place->layer, gguf);
  }
  return {};
}

}  // namespace linnet
