#include "models/gguf_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

#include "io/ggml_tensor.h"
#include "io/quoted.h"
#include "linnet/error.h"
#include "models/header.h"
#include "models/schema.h"

namespace linnet {
namespace {

constexpr std::string_view kLerpFused = "time_mix_lerp_fused.weight";

bool OneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

void SetShape(TensorView& t, std::vector<size_t> shape) {
  t.strides = ContiguousStrides(shape);
  t.shape = std::move(shape);
}

// ln0 normalizes the embedding, and llama.cpp names it so, outside of the layers.
constexpr std::string_view kOfEmbedding = "token_embd";

// The released names by llama.cpp's, of the first two layers; those of layer 1 stand for all later
// ones. Both begin with `blocks.`.
using NamesByGguf = std::map<std::string, std::string, std::less<>>;
NamesByGguf NamesInGguf(Generation generation) {
  NamesByGguf names;
  for (const auto& [name, p] : ParametersIn(generation)) {
    if (p.others.gguf.empty()) continue;
    const auto place = SplitBlockName(name);
    const bool inner = place && !p.others.gguf.starts_with(kOfEmbedding);
    names[inner ? BlockName(place->layer, p.others.gguf) : p.others.gguf] = name;
  }
  return names;
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
    names_ = NamesInGguf(generation());
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
    const auto place = SplitBlockName(t.name, "blk.");
    if (place) return TakeInner(t, *place);
    const auto it = names_.find(t.name);
    TensorView view = t;
    if (it != names_.end()) view.name = it->second;
    Keep(std::move(view));
  }

  void TakeInner(const TensorView& t, const NameInBlock& place) {
    const std::string block = BlockName(place.layer, "");
    const size_t mixes = v7_ ? 6 : 5;
    if (place.rest == kLerpFused && t.elements() % mixes == 0) {
      for (size_t i = 0; i < mixes; ++i) {
        TensorView part = SliceOf(t, mixes, i);
        part.name = v7_ ? block + "att.x_" + "rwkvag"[i] : block + "att.time_maa_" + "wkvrg"[i];
        Keep(std::move(part));
      }
      return;
    }
    const auto it = names_.find(BlockName(std::min<size_t>(place.layer, 1), place.rest));
    if (it == names_.end()) return Keep(t);
    const NameInBlock released = *SplitBlockName(it->second);
    TensorView view = t;
    view.name = block;
    view.name += released.rest;
    const ParameterSpec& p = *FindParameter(generation(), view.name);
    if (!p.unused) Keep(Released(view, released.rest, p, place.layer));
  }

  Generation generation() const { return v7_ ? Generation::k7 : Generation::k6; }

  TensorView Released(const TensorView& t, std::string_view name, const ParameterSpec& p,
                      size_t layer) {
    TensorView view = t;
    const size_t n = t.elements();
    if (p.role == ParameterRole::kFactor) return t.shape.size() >= 2 ? t.Transposed() : view;
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
    if (p.role == ParameterRole::kVector && p.shape.size() == 3) SetShape(view, {1, 1, n});
    return view;
  }

  bool v7_ = false;
  NamesByGguf names_;
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
    const auto place = SplitBlockName(t.name);
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
    const ParameterSpec* p = FindParameter(t.name);
    const bool factor = p != nullptr && p->role == ParameterRole::kFactor;
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

std::string GgufName(const ParameterSpec& p) {
  const auto place = SplitBlockName(p.name);
  if (!place || p.others.gguf.empty() || p.others.gguf.starts_with(kOfEmbedding)) {
    return p.others.gguf;
  }
  return fmt::format("blk.{}.{}", place->layer, p.others.gguf);
}

}  // namespace linnet
