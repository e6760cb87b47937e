#include "models/names.h"

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string_view>
#include <utility>

#include "io/deflated_text.h"
#include "models/gguf_names.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet {
namespace {

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}
bool EndsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
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

// The parameters of these generations, in all layers, by the names within a layer that another
// program has for them.
using SpecsByOther = std::map<std::string, const ParameterSpec*, std::less<>>;
SpecsByOther ByOtherNames(std::initializer_list<Generation> generations,
                          std::string OtherNames::*program) {
  SpecsByOther specs;
  for (const Generation generation : generations) {
    for (const auto& [name, p] : ParametersIn(generation)) {
      const std::string& other = p.others.*program;
      if (!other.empty()) specs[other] = &p;
    }
  }
  return specs;
}

// The name within a layer: "att.key.weight".
std::string_view RestOf(const ParameterSpec& p) { return SplitBlockName(p.name)->rest; }

bool IsMix(const ParameterSpec& p) {
  return p.role == ParameterRole::kVector && p.shape.size() == 3;
}

// Files of v5 keep most released names. `generation` is 5.2, 6 or 7.
TensorView FromWebRwkv(TensorView t, Generation generation) {
  static const std::map<Generation, SpecsByOther> kNames = [] {
    std::map<Generation, SpecsByOther> names;
    for (const Generation g : {Generation::k52, Generation::k6, Generation::k7}) {
      names[g] = ByOtherNames({g}, &OtherNames::web_rwkv);
    }
    return names;
  }();
  const SpecsByOther& names = kNames.at(generation);
  if (const auto place = SplitBlockName(t.name)) {
    const auto it = names.find(place->rest);
    if (it != names.end()) t.name = BlockName(place->layer, RestOf(*it->second));
  }
  const ParameterSpec* p = FindParameter(generation, t.name);
  const bool factor = IsTimeState(t.name) || (p != nullptr && p->role == ParameterRole::kFactor);
  return factor && t.shape.size() >= 2 ? t.Transposed() : t;
}

TensorView FromHuggingFace(TensorView t) {
  static const SpecsByOther kNames =
      ByOtherNames({Generation::k4, Generation::k52, Generation::k6}, &OtherNames::hugging_face);
  constexpr std::string_view kProgram = "rwkv.";
  if (t.name == "rwkv.embeddings.weight") t.name = kEmbedding;
  if (StartsWith(t.name, kProgram)) t.name.erase(0, kProgram.size());
  const auto place = SplitBlockName(t.name);
  const auto it = place ? kNames.find(place->rest) : kNames.end();
  if (it != kNames.end()) {
    t.name = BlockName(place->layer, RestOf(*it->second));
    return IsMix(*it->second) ? AsMix(std::move(t)) : t;
  }
  RenamePart(t.name, ".attention.", ".att.");
  RenamePart(t.name, ".feed_forward.", ".ffn.");
  return t;
}

// Linear's [out, in] is the transpose of BlinkDL's low-rank factors.
TensorView FromFla(TensorView t) {
  static const std::map<std::string_view, std::string_view> kOuter = {
      {"embeddings.weight", kEmbedding},
      {"lm_head.weight", kHead},
      {"norm.weight", "ln_out.weight"},
      {"norm.bias", "ln_out.bias"}};
  static const SpecsByOther kNames = ByOtherNames({Generation::k7}, &OtherNames::fla);
  t.name = WithoutModel(t.name);
  const auto outer = kOuter.find(t.name);
  if (outer != kOuter.end()) t.name = outer->second;
  const auto place = SplitBlockName(t.name, "layers.");
  if (!place) return t;
  const auto it = kNames.find(place->rest);
  std::string rest(it != kNames.end() ? RestOf(*it->second) : place->rest);
  if (StartsWith(rest, "attn.")) rest.replace(0, 4, "att");
  t.name = BlockName(place->layer, rest);
  const ParameterSpec* p = FindParameter(Generation::k7, t.name);
  if (p == nullptr) return t;
  if (p->role == ParameterRole::kFactor) return t.shape.size() == 2 ? t.Transposed() : t;
  return IsMix(*p) ? AsMix(std::move(t)) : t;
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
  const auto has = [&](const char* name) { return file.Find(name) != nullptr; };
  const Generation of_web = has("blocks.0.att.time_mix_x") ? Generation::k6
                            : has("blocks.0.att.r_k")      ? Generation::k7
                                                           : Generation::k52;
  std::vector<TensorView> out;
  for (const TensorView& t : file.tensors()) {
    switch (naming) {
      case TensorNaming::kLlamaCpp:
      case TensorNaming::kRwkvCpp:
      case TensorNaming::kBlinkDL:
        out.push_back(t);
        break;
      case TensorNaming::kWebRwkv:
        out.push_back(FromWebRwkv(t, of_web));
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

std::string TimeStateName(size_t layer) { return BlockName(layer, kTimeState.substr(1)); }
bool IsTimeState(std::string_view name) { return EndsWith(name, kTimeState); }

std::string WithoutTrainersPrefix(const std::string& name) {
  const std::string_view inner = WithoutModel(name);
  if (inner.size() == name.size()) return name;
  for (const char* own : {"blocks.", "emb.", "head.", "ln_out."}) {
    if (StartsWith(inner, own)) return std::string(inner);
  }
  return name;
}

bool HasEmbeddingNames(const TensorFile& file) {
  return std::any_of(file.tensors().begin(), file.tensors().end(), [](const TensorView& t) {
    return StartsWith(t.name, "reranker.blocks.0.") ||
           (StartsWith(t.name, "head.") && EndsWith(t.name, "_head.fc1.weight"));
  });
}

std::string WithoutEmbeddingPrefix(const std::string& name) {
  if (name == "reranker.token.weight") return std::string(kEmbedding);
  for (const std::string_view prefix : {"rwkv.", "reranker."}) {
    if (StartsWith(name, prefix)) return name.substr(prefix.size());
  }
  return name;
}

TensorFile OpenTensors(const std::filesystem::path& path) {
  TensorFile file = TensorFile::Open(path);
  file.Rename(WithoutTrainersPrefix);
  return file;
}

TensorFile ParseTensors(std::span<const std::byte> bytes, const std::string& name) {
  TensorFile file = TensorFile::Parse(bytes, name);
  file.Rename(WithoutTrainersPrefix);
  return file;
}

Checkpoint::Checkpoint(const std::filesystem::path& path) : Checkpoint(TensorFile::Open(path)) {}

Checkpoint::Checkpoint(TensorFile file) : file_(std::move(file)), packed_(IsPacked(file_)) {
  file_.Rename(WithoutTrainersPrefix);
  if (HasEmbeddingNames(file_)) file_.Rename(WithoutEmbeddingPrefix);
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
    matched_ = MatchExperts(tensors_);
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
