#include "models/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "io/deflated_text.h"
#include "models/gguf_names.h"
#include "models/packed.h"

namespace linnet {
namespace {

using Renames = std::vector<std::pair<std::string_view, std::string_view>>;

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

// Applies the first rename whose left side is a suffix of the name.
void RenameEnding(std::string& name, const Renames& renames) {
  for (const auto& [from, to] : renames) {
    if (!EndsWith(name, from)) continue;
    name.replace(name.size() - from.size(), from.size(), to);
    return;
  }
}

void RenamePart(std::string& name, std::string_view from, std::string_view to) {
  const size_t at = name.find(from);
  if (at != std::string::npos) name.replace(at, from.size(), to);
}

// [C] in the released shape: [1, 1, C].
TensorView AsMix(TensorView t) {
  t = t.Squeezed();
  if (t.shape.size() != 1) return t;
  const size_t n = t.shape[0];
  t.shape = {1, 1, n};
  t.strides = {n, n, t.strides[0]};
  return t;
}

size_t WidthOf(const TensorFile& file, const std::string& embedding) {
  const TensorView* emb = file.Find(embedding);
  return emb != nullptr && emb->shape.size() == 2 ? emb->shape[1] : 0;
}

// fla's name without `model.`, as in its models without a head.
std::string_view WithoutModel(std::string_view name) {
  constexpr std::string_view kModel = "model.";
  return StartsWith(name, kModel) ? name.substr(kModel.size()) : name;
}

TensorNaming NamingOf(const TensorFile& file) {
  if (file.container() == Container::kGguf) return TensorNaming::kLlamaCpp;
  if (file.container() == Container::kGgmf) return TensorNaming::kRwkvCpp;
  for (const TensorView& t : file.tensors()) {
    if (StartsWith(t.name, "rwkv.blocks.")) return TensorNaming::kHuggingFace;
    if (StartsWith(WithoutModel(t.name), "layers.") && EndsWith(t.name, ".attn.k_k")) {
      return TensorNaming::kFla;
    }
  }
  const size_t width = WidthOf(file, "emb.weight");
  if (file.Find("blocks.0.att.time_mix_x") != nullptr) return TensorNaming::kWebRwkv;
  // In v7 the converter changes only orientations: w1 is [C, rank] in released files.
  const TensorView* w1 = file.Find("blocks.0.att.w1");
  if (w1 != nullptr && w1->shape.size() == 2 && w1->shape[0] != width && w1->shape[1] == width) {
    return TensorNaming::kWebRwkv;
  }
  // In v5.2 it renames time_faaaa; a released time_first is one value per head.
  const TensorView* first = file.Find("blocks.0.att.time_first");
  if (first != nullptr && first->Squeezed().shape.size() == 2) return TensorNaming::kWebRwkv;
  return TensorNaming::kBlinkDL;
}

constexpr std::string_view kTimeState = ".att.time_state";
constexpr std::string_view kEmbedding = "emb.weight", kHead = "head.weight";

TensorView FromWebRwkv(TensorView t) {
  static const Renames kRenames = {
      {"att.time_mix_x", "att.time_maa_x"},   {"att.time_mix_w", "att.time_maa_w"},
      {"att.time_mix_k", "att.time_maa_k"},   {"att.time_mix_v", "att.time_maa_v"},
      {"att.time_mix_r", "att.time_maa_r"},   {"att.time_mix_g", "att.time_maa_g"},
      {"att.time_mix_w1", "att.time_maa_w1"}, {"att.time_mix_w2", "att.time_maa_w2"},
      {"ffn.time_mix_k", "ffn.time_maa_k"},   {"ffn.time_mix_r", "ffn.time_maa_r"},
      {"att.time_first", "att.time_faaaa"}};
  static constexpr std::array<std::string_view, 13> kTransposed = {"att.time_mix_w1",
                                                                   "att.time_mix_w2",
                                                                   "att.time_decay_w1",
                                                                   "att.time_decay_w2",
                                                                   "att.w1",
                                                                   "att.w2",
                                                                   "att.a1",
                                                                   "att.a2",
                                                                   "att.g1",
                                                                   "att.g2",
                                                                   "att.v1",
                                                                   "att.v2",
                                                                   kTimeState};
  if (t.shape.size() >= 2 && std::any_of(kTransposed.begin(), kTransposed.end(),
                                         [&](auto ending) { return EndsWith(t.name, ending); })) {
    t = t.Transposed();
  }
  RenameEnding(t.name, kRenames);
  return t;
}

// v5's converted files keep the name time_mix_*: only v6 uses maa.
TensorView FromWebRwkv5(TensorView t) {
  if (IsTimeState(t.name) && t.shape.size() >= 2) t = t.Transposed();
  RenameEnding(t.name, {{"att.time_first", "att.time_faaaa"}});
  return t;
}

TensorView FromHuggingFace(TensorView t) {
  static const Renames kEndings = {{"rwkv.embeddings.weight", "emb.weight"},
                                   {"time_mix_key", "time_mix_k"},
                                   {"time_mix_value", "time_mix_v"},
                                   {"time_mix_receptance", "time_mix_r"},
                                   {"time_mix_gate", "time_mix_g"},
                                   {"pre_ln.weight", "ln0.weight"},
                                   {"pre_ln.bias", "ln0.bias"}};
  RenameEnding(t.name, kEndings);
  RenamePart(t.name, ".attention.", ".att.");
  RenamePart(t.name, ".feed_forward.", ".ffn.");
  if (StartsWith(t.name, "rwkv.")) t.name.erase(0, 5);
  if (t.name.find(".time_mix_") != std::string::npos) t = AsMix(std::move(t));
  return t;
}

// model.layers.3.attn.w_lora.lora.0.weight → blocks.3.att.w1. Linear's [out, in] is the transpose
// of BlinkDL's.
TensorView FromFlaLora(TensorView t, size_t at) {
  const char letter = t.name[at - 1];
  const std::string rest = t.name.substr(at + std::string_view("_lora.lora.").size());
  t.name.resize(at - 1);
  t.name += letter;
  if (rest == "2.bias") {
    t.name += '0';
    return AsMix(std::move(t));
  }
  t.name += rest == "0.weight" ? '1' : '2';
  return t.shape.size() == 2 ? t.Transposed() : t;
}

TensorView FromFla(TensorView t) {
  static const Renames kOuter = {{"embeddings.weight", "emb.weight"},
                                 {"lm_head.weight", "head.weight"},
                                 {"norm.weight", "ln_out.weight"},
                                 {"norm.bias", "ln_out.bias"}};
  static const Renames kEndings = {
      {"pre_norm.weight", "ln0.weight"},      {"pre_norm.bias", "ln0.bias"},
      {"attn_norm.weight", "ln1.weight"},     {"attn_norm.bias", "ln1.bias"},
      {"ffn_norm.weight", "ln2.weight"},      {"ffn_norm.bias", "ln2.bias"},
      {"g_norm.weight", "ln_x.weight"},       {"g_norm.bias", "ln_x.bias"},
      {"r_proj.weight", "receptance.weight"}, {"k_proj.weight", "key.weight"},
      {"v_proj.weight", "value.weight"},      {"o_proj.weight", "output.weight"},
  };
  t.name = WithoutModel(t.name);
  for (const auto& [from, to] : kOuter) {
    if (t.name != from) continue;
    t.name = to;
    return t;
  }
  if (StartsWith(t.name, "layers.")) RenamePart(t.name, "layers.", "blocks.");
  RenameEnding(t.name, kEndings);
  RenamePart(t.name, ".attn.", ".att.");
  const size_t lora = t.name.find("_lora.lora.");
  if (lora != std::string::npos && lora > 0) return FromFlaLora(std::move(t), lora);
  const std::string_view name = t.name;
  if (EndsWith(name, ".k_k") || EndsWith(name, ".k_a") || EndsWith(name, ".ffn.x_k") ||
      (name.size() > 4 && name.substr(name.size() - 4, 3) == ".x_")) {
    return AsMix(std::move(t));
  }
  return t;
}

// Older fla exports stack the six mixes: x_x [6, C] or [6, 1, 1, C], in the order r, w, k, v, a, g.
void SplitStacked(const TensorView& t, std::vector<TensorView>& out) {
  if (t.shape.size() < 2 || t.shape[0] != 6) return;
  for (size_t i = 0; i < 6; ++i) {
    TensorView one = AsMix(t.Index(i));
    one.name = t.name.substr(0, t.name.size() - 1) + "rwkvag"[i];
    out.push_back(std::move(one));
  }
}

std::vector<TensorView> Rename(const TensorFile& file, TensorNaming naming) {
  const bool v6 = file.Find("blocks.0.att.time_mix_x") != nullptr;
  const bool v7 = file.Find("blocks.0.att.r_k") != nullptr;
  std::vector<TensorView> out;
  for (const TensorView& t : file.tensors()) {
    switch (naming) {
      case TensorNaming::kLlamaCpp:
      case TensorNaming::kRwkvCpp:
      case TensorNaming::kBlinkDL:
        out.push_back(t);
        break;
      case TensorNaming::kWebRwkv:
        out.push_back(v6 || v7 ? FromWebRwkv(t) : FromWebRwkv5(t));
        break;
      case TensorNaming::kHuggingFace:
        out.push_back(FromHuggingFace(t));
        break;
      case TensorNaming::kFla: {
        TensorView named = FromFla(t);
        if (EndsWith(named.name, ".att.x_x")) {
          SplitStacked(named, out);
        } else {
          out.push_back(std::move(named));
        }
        break;
      }
    }
  }
  return out;
}

}  // namespace

const char* Name(TensorNaming naming) {
  switch (naming) {
    case TensorNaming::kBlinkDL:
      return "BlinkDL";
    case TensorNaming::kWebRwkv:
      return "web-rwkv";
    case TensorNaming::kHuggingFace:
      return "Hugging Face";
    case TensorNaming::kFla:
      return "fla";
    case TensorNaming::kLlamaCpp:
      return "llama.cpp";
    case TensorNaming::kRwkvCpp:
      return "rwkv.cpp";
  }
  return "?";
}

std::string TimeStateName(size_t layer) { return fmt::format("blocks.{}{}", layer, kTimeState); }
bool IsTimeState(std::string_view name) { return EndsWith(name, kTimeState); }

std::string WithoutTrainersPrefix(const std::string& name) {
  const std::string_view inner = WithoutModel(name);
  if (inner.size() == name.size()) return name;
  for (const char* own : {"blocks.", "emb.", "head.", "ln_out."}) {
    if (StartsWith(inner, own)) return std::string(inner);
  }
  return name;
}

TensorFile OpenTensors(const std::filesystem::path& path) {
  TensorFile file = TensorFile::Open(path);
  file.Rename(WithoutTrainersPrefix);
  return file;
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : Checkpoint(TensorFile::Open(path)) {}

Checkpoint::Checkpoint(TensorFile file) : file_(std::move(file)), packed_(IsPacked(file_)) {
  file_.Rename(WithoutTrainersPrefix);
  naming_ = packed_ ? TensorNaming::kBlinkDL : NamingOf(file_);
  if (packed_) {
    PackedTensors packed = OpenPacked(file_);
    tensors_ = std::move(packed.views);
    encodings_ = std::move(packed.encodings);
  } else if (naming_ == TensorNaming::kLlamaCpp || naming_ == TensorNaming::kRwkvCpp) {
    RenamedTensors renamed = naming_ == TensorNaming::kLlamaCpp ? FromGguf(file_) : FromGgmf(file_);
    tensors_ = std::move(renamed.views);
    encodings_ = std::move(renamed.encodings);
  } else {
    tensors_ = Rename(file_, naming_);
  }
  if (file_.container() == Container::kSafetensors) TakeVocabulary();
  header_ = ReadHeader(file_, naming_);
  if (header_.tied) TieHead();
  for (size_t i = 0; i < tensors_.size(); ++i) index_[tensors_[i].name] = i;
}

// As in transformers: if tied, a head in the file is ignored.
void Checkpoint::TieHead() {
  std::erase_if(tensors_, [](const TensorView& t) { return t.name == kHead; });
  const auto emb = std::find_if(tensors_.begin(), tensors_.end(),
                                [](const TensorView& t) { return t.name == kEmbedding; });
  if (emb == tensors_.end()) return;
  TensorView head = *emb;
  head.name = kHead;
  tensors_.push_back(std::move(head));
}

// The vocabulary is not a parameter: hash, counts and conversions must not include it.
void Checkpoint::TakeVocabulary() {
  const auto it = std::find_if(tensors_.begin(), tensors_.end(), [](const TensorView& t) {
    return t.name == kVocabularyTensor && t.type == SourceType::kU8 && t.shape.size() == 1 &&
           t.encoding == nullptr;
  });
  if (it == tensors_.end()) return;
  vocabulary_ = {it->data, it->elements()};
  tensors_.erase(it);
}

std::string Checkpoint::Vocabulary() const {
  if (vocabulary_.empty()) return "";
  return InflateText(vocabulary_, kMaxVocabularyBytes, file_.path().string() + ": its vocabulary");
}

const TensorView* Checkpoint::Find(const std::string& name) const {
  const auto it = index_.find(name);
  return it == index_.end() ? nullptr : &tensors_[it->second];
}

}  // namespace linnet
