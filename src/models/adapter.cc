#include "models/adapter.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>
#include <utility>

#include "linnet/error.h"
#include "models/detect.h"
#include "models/hash.h"

namespace linnet {
namespace {

constexpr const char* kFirstFactors = "init_pissa.pth";

enum class Role : uint8_t { kDown, kUp, kFirstDown, kFirstUp, kDisha, kBone, kMagnitude };

struct Suffix {
  std::string_view text;
  Role role;
};
// Suffixes that replace a matrix's `.weight`. web-rwkv's `.lora.0` and `.lora.1` follow it.
constexpr Suffix kSuffixes[] = {{".init_lora_A", Role::kFirstDown},
                                {".init_lora_B", Role::kFirstUp},
                                {".lora_A", Role::kDown},
                                {".lora_B", Role::kUp},
                                {".lora_M", Role::kMagnitude},
                                {".weight.lora.0", Role::kDown},
                                {".weight.lora.1", Role::kUp},
                                {".lora.0", Role::kDown},
                                {".lora.1", Role::kUp},
                                {".disha", Role::kDisha},
                                {".bone", Role::kBone}};

const Suffix* SuffixOf(std::string_view name) {
  for (const Suffix& s : kSuffixes) {
    if (name.ends_with(s.text)) return &s;
  }
  return nullptr;
}

std::string Shape(const TensorView& t) { return fmt::format("[{}]", fmt::join(t.shape, ", ")); }

bool Has(const TensorView& t, const std::vector<size_t>& shape) { return t.shape == shape; }

bool Absent(const TensorView& t) { return t.name.empty(); }

Error Bad(const TensorFile& file, const std::string& what) {
  return Error(ErrorKind::kBadInput, file.path().string() + ": " + what);
}

}  // namespace

const char* Name(AdapterKind kind) {
  switch (kind) {
    case AdapterKind::kLora:
      return "lora";
    case AdapterKind::kPissa:
      return "pissa";
    case AdapterKind::kDisha:
      return "disha";
    case AdapterKind::kBone:
      return "bone";
    case AdapterKind::kDora:
      return "dora";
  }
  return "?";
}

std::optional<AdapterKind> ParseAdapterKind(std::string_view name) {
  for (const auto kind : {AdapterKind::kLora, AdapterKind::kPissa, AdapterKind::kDisha,
                          AdapterKind::kBone, AdapterKind::kDora}) {
    if (name == Name(kind)) return kind;
  }
  return std::nullopt;
}

bool Adapter::Learns(const std::string& name) {
  if (IsTimeState(name)) return true;
  const Suffix* suffix = SuffixOf(name);
  return suffix != nullptr && suffix->role != Role::kFirstDown && suffix->role != Role::kFirstUp;
}

bool Adapter::Holds(const TensorView& tensor) const {
  const TensorView* own = file_.Find(tensor.name);
  return own != nullptr && own->data == tensor.data && own->encoding == tensor.encoding;
}

const MatrixChange* Adapter::Find(const std::string& matrix) const {
  const auto it = changes_.find(matrix);
  return it == changes_.end() ? nullptr : &it->second;
}

const TensorView* Adapter::Replacement(const std::string& name) const {
  const auto it = replaced_.find(name);
  return it == replaced_.end() ? nullptr : &it->second;
}

Adapter::Adapter(const std::filesystem::path& path, const Checkpoint& base,
                 std::optional<float> scale)
    : file_(OpenTensors(path)) {
  const auto hash = file_.metadata().find(kBaseHashKey);
  if (hash != file_.metadata().end()) {
    const std::string own = HashOf(base);
    if (hash->second != own) {
      throw Bad(file_, fmt::format("trained on another model ({}) than {} ({})", hash->second,
                                   base.file().path().string(), own));
    }
  }
  for (const TensorView& t : file_.tensors()) Read(t, base);
  if (states_ > 0) CheckStates(base);
  if (changes_.empty() && replaced_.empty()) throw Bad(file_, "holds no tensor of an adapter");
  if (changes_.empty() && replaced_.count("emb.weight") + replaced_.count("head.weight") == 2) {
    throw Bad(file_, "is a whole model, expected an adapter");
  }
  const bool untold = std::any_of(changes_.begin(), changes_.end(), [](const auto& item) {
    return !Absent(item.second.down) && Absent(item.second.first_down);
  });
  if (untold && file_.metadata().count("alpha") == 0) {
    AddFirstFactors(path.parent_path() / kFirstFactors);
  }
  for (auto& [name, change] : changes_) Resolve(name, change, *base.Find(name), scale);
}

// Assigns the tensor to a change, a replacement or a state by its name.
void Adapter::Read(const TensorView& t, const Checkpoint& base) {
  const std::string path = base.file().path().string();
  const Suffix* suffix = SuffixOf(t.name);
  if (suffix == nullptr) {
    if (IsTimeState(t.name)) {
      ++states_;
    } else {
      const TensorView* own = base.Find(t.name);
      if (own == nullptr) {
        throw Bad(file_, fmt::format("{}, which {} does not have; is it another model's?",
                                     Describe(t), path));
      }
      if (own->Squeezed().shape != t.Squeezed().shape) {
        throw Bad(file_, fmt::format("{}, expected {} as in {}", Describe(t), Shape(*own), path));
      }
    }
    replaced_[t.name] = t;
    return;
  }
  const std::string matrix = t.name.substr(0, t.name.size() - suffix->text.size()) + ".weight";
  const TensorView* w = base.Find(matrix);
  if (w == nullptr || w->shape.size() != 2 || matrix == "emb.weight") {
    throw Bad(file_, fmt::format("{} belongs to {}, {} in {}", t.name, matrix,
                                 w == nullptr ? "which is missing" : "which cannot have an adapter",
                                 path));
  }
  MatrixChange& change = changes_[matrix];
  TensorView MatrixChange::*const places[] = {
      &MatrixChange::down, &MatrixChange::up, &MatrixChange::first_down, &MatrixChange::first_up,
      &MatrixChange::up,   &MatrixChange::up, &MatrixChange::magnitude};
  TensorView& place = change.*places[static_cast<size_t>(suffix->role)];
  if (!Absent(place)) {
    throw Bad(file_, fmt::format("holds both {} and {}", place.name, t.name));
  }
  place = t;
  switch (suffix->role) {
    case Role::kFirstDown:
    case Role::kFirstUp:
      change.kind = AdapterKind::kPissa;
      break;
    case Role::kMagnitude:
      change.kind = AdapterKind::kDora;
      break;
    case Role::kDisha:
    case Role::kBone:
      // Bone's blocks were stored under DiSHA's name in older files.
      change.kind = t.shape.size() == 3 ? AdapterKind::kBone : AdapterKind::kDisha;
      break;
    default:
      break;
  }
}

// A LoRA file without alpha may be a PiSSA file, if the folder holds PiSSA's first factors.
void Adapter::AddFirstFactors(const std::filesystem::path& beside) {
  std::error_code ignored;
  if (!std::filesystem::exists(beside, ignored)) return;
  first_ = OpenTensors(beside);
  for (auto& [name, change] : changes_) {
    if (change.kind != AdapterKind::kLora || Absent(change.down)) continue;
    const std::string stem = name.substr(0, name.size() - std::string_view("weight").size());
    for (const auto& [ending, place] : {std::pair{"init_lora_A", &change.first_down},
                                        std::pair{"init_lora_B", &change.first_up}}) {
      const TensorView* t = first_->Find(stem + ending);
      if (t == nullptr) {
        throw Bad(*first_, fmt::format("{}{} is missing, expected as {} has {}", stem, ending,
                                       file_.path().string(), change.down.name));
      }
      *place = *t;
    }
    change.kind = AdapterKind::kPissa;
  }
}

float Adapter::ScaleOf(const MatrixChange& change, std::optional<float> scale) const {
  const float own = scale.value_or(1.0f);
  if (change.kind != AdapterKind::kLora && change.kind != AdapterKind::kDora) return own;
  const auto alpha = file_.metadata().find("alpha");
  if (alpha == file_.metadata().end()) {
    if (scale) return own;
    throw Bad(file_,
              fmt::format("does not store its alpha; give {}:SCALE, where SCALE is alpha / {}",
                          file_.path().string(), change.rank));
  }
  float value = 0;
  const char* end = alpha->second.data() + alpha->second.size();
  if (std::from_chars(alpha->second.data(), end, value).ptr != end || !std::isfinite(value)) {
    throw Bad(file_, fmt::format("metadata alpha is '{}', expected a number",
                                 alpha->second.substr(0, 40)));
  }
  return own * value / static_cast<float>(change.rank);
}

// Checks shapes, orientations, rank and scale of a change after all its tensors were read.
void Adapter::Resolve(const std::string& name, MatrixChange& change, const TensorView& w,
                      std::optional<float> scale) {
  const size_t out = w.shape[0], in = w.shape[1];
  const auto refuse = [&](const TensorView& t, const std::string& expected) {
    throw Bad(file_,
              fmt::format("{}, expected {} for {} [{}, {}]", Describe(t), expected, name, out, in));
  };
  const TensorView& up = change.up;
  if (change.kind == AdapterKind::kDisha || change.kind == AdapterKind::kBone) {
    if (!Absent(change.down)) throw Bad(file_, name + " has adapters of two kinds");
    const bool disha = change.kind == AdapterKind::kDisha;
    change.rank = up.shape.empty() ? 0 : disha ? up.shape[0] : up.shape.back();
    const size_t r = change.rank;
    if (disha && (r == 0 || r > in || !Has(up, {r, out}))) {
      refuse(up, fmt::format("[rank, {}]", out));
    }
    if (!disha && (r == 0 || in % r != 0 || out % r != 0 || !Has(up, {in / r, r, r}))) {
      refuse(up,
             fmt::format("[{0} / rank, rank, rank] with a rank that divides {0} and {1}", in, out));
    }
    if (disha) {
      change.up = up.Transposed();
      change.up_transposed = true;
    }
  } else {
    ResolveFactors(name, change, w);
    const TensorView& m = change.magnitude;
    if (!Absent(m) && m.elements() != in) refuse(m, fmt::format("[1, {}]", in));
  }
  change.scale = ScaleOf(change, scale);
}

void Adapter::ResolveFactors(const std::string& name, MatrixChange& change,
                             const TensorView& w) const {
  const size_t out = w.shape[0], in = w.shape[1];
  const std::string stem = name.substr(0, name.size() - std::string_view(".weight").size());
  const bool first = change.kind == AdapterKind::kPissa;
  for (const auto& [t, what, wanted] :
       {std::tuple{&change.down, "lora_A", true}, std::tuple{&change.up, "lora_B", true},
        std::tuple{&change.first_down, "init_lora_A", first},
        std::tuple{&change.first_up, "init_lora_B", first}}) {
    if (wanted && Absent(*t)) throw Bad(file_, fmt::format("{}.{} is missing", stem, what));
    if (wanted && t->shape.size() != 2) {
      throw Bad(file_, fmt::format("{}, expected two dimensions", Describe(*t)));
    }
  }
  // web-rwkv's are transposed.
  if (change.down.name.ends_with(".lora.0")) change.down = change.down.Transposed();
  if (change.down.shape[1] != in && change.down.shape[0] == in) {
    change.down = change.down.Transposed();
  }
  change.rank = change.down.shape[0];
  const size_t r = change.rank;
  if (!Has(change.up, {out, r}) && Has(change.up, {r, out})) change.up = change.up.Transposed();
  if (r == 0 || r > std::min(in, out)) {
    throw Bad(file_, fmt::format("{}, expected a rank of 1 to {} for {} [{}, {}]",
                                 Describe(change.down), std::min(in, out), name, out, in));
  }
  const std::pair<const TensorView*, std::vector<size_t>> all[] = {
      {&change.down, {r, in}},
      {&change.up, {out, r}},
      {first ? &change.first_down : nullptr, {r, in}},
      {first ? &change.first_up : nullptr, {out, r}}};
  for (const auto& [t, shape] : all) {
    if (t == nullptr || Has(*t, shape)) continue;
    throw Bad(file_, fmt::format("{}, expected [{}] for {} [{}, {}]", Describe(*t),
                                 fmt::join(shape, ", "), name, out, in));
  }
}

void Adapter::CheckStates(const Checkpoint& base) const {
  const Config c = ConfigOf(base);
  if (c.generation == Generation::k4) {
    throw Bad(file_, "holds a tuned state, but RWKV-4 has none");
  }
  const std::vector<size_t> expected = {c.heads, c.head_size, c.head_size};
  for (size_t layer = 0; layer < c.layers; ++layer) {
    const std::string name = TimeStateName(layer);
    const TensorView* t = Replacement(name);
    if (t == nullptr || !Has(*t, expected)) {
      throw Bad(file_, fmt::format("{}, expected [{}] as {} has it",
                                   t == nullptr ? name + " is missing" : Describe(*t),
                                   fmt::join(expected, ", "), base.file().path().string()));
    }
  }
  if (states_ != c.layers) {
    throw Bad(file_,
              fmt::format("holds tuned states of {} layers, the model has {}", states_, c.layers));
  }
}

RowChanger::RowChanger(const MatrixChange& change, const TensorView& w)
    : change_(change), in_(w.shape[1]), up_(ReadAll(change.up)) {
  if (!Absent(change.down)) down_ = ReadAll(change.down);
  if (change.kind == AdapterKind::kPissa) {
    first_down_ = ReadAll(change.first_down);
    first_up_ = ReadAll(change.first_up);
  }
  if (change.kind != AdapterKind::kDora) return;
  columns_.assign(in_, 0);
  std::vector<float> row(in_);
  std::vector<double> sum(in_);
  for (size_t o = 0; o < w.shape[0]; ++o) {
    ReadRows(w, o, 1, row.data());
    std::copy(row.begin(), row.end(), sum.begin());
    AddFactors(o, sum);
    for (size_t i = 0; i < in_; ++i) columns_[i] += sum[i] * sum[i];
  }
  const auto magnitude = ReadAll(change.magnitude);
  for (size_t i = 0; i < in_; ++i) columns_[i] = magnitude[i] / (std::sqrt(columns_[i]) + 1e-6);
}

// Adds the low-rank products to a row, in double precision: PiSSA's two products nearly cancel.
void RowChanger::AddFactors(size_t row, std::vector<double>& sum) const {
  const size_t rank = change_.rank;
  for (size_t j = 0; j < rank; ++j) {
    const double up = double{change_.scale} * up_[row * rank + j];
    if (change_.kind == AdapterKind::kDisha) {
      for (size_t i = j; i < in_; i += rank) sum[i] += up;
      continue;
    }
    const float* down = down_.data() + j * in_;
    for (size_t i = 0; i < in_; ++i) sum[i] += up * down[i];
    if (first_up_.empty()) continue;
    const double first = double{change_.scale} * first_up_[row * rank + j];
    const float* first_down = first_down_.data() + j * in_;
    for (size_t i = 0; i < in_; ++i) sum[i] -= first * first_down[i];
  }
}

// Row o of block a: W[a, b] G[b] + G[b] depends only on that row of W.
void RowChanger::ApplyBone(size_t row, float* values) const {
  const size_t r = change_.rank;
  std::vector<double> sum(r);
  for (size_t b = 0; b < in_ / r; ++b) {
    const float* G = up_.data() + b * r * r;
    for (size_t i = 0; i < r; ++i) sum[i] = G[row % r * r + i];
    for (size_t k = 0; k < r; ++k) {
      for (size_t i = 0; i < r; ++i) sum[i] += double{values[b * r + k]} * G[k * r + i];
    }
    for (size_t i = 0; i < r; ++i) {
      float& w = values[b * r + i];
      w = static_cast<float>(w + change_.scale * sum[i]);
    }
  }
}

void RowChanger::Apply(size_t begin, size_t count, float* rows) const {
  std::vector<double> sum(in_);
  for (size_t o = 0; o < count; ++o) {
    float* values = rows + o * in_;
    if (change_.kind == AdapterKind::kBone) {
      ApplyBone(begin + o, values);
      continue;
    }
    std::copy_n(values, in_, sum.begin());
    AddFactors(begin + o, sum);
    for (size_t i = 0; i < in_; ++i) {
      values[i] = static_cast<float>(columns_.empty() ? sum[i] : sum[i] * columns_[i]);
    }
  }
}

}  // namespace linnet
