#include "linnet/state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>

#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/schema.h"
#include "models/state_file.h"
#include "models/state_parts.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

constexpr const char* kLogits = "logits";  // optional in a saved state: [V]

std::string Describe(const StateShape& s) {
  return fmt::format("RWKV-{} with {} layers, width {}, {} heads", Name(s.generation), s.layers,
                     s.width, s.heads);
}

// For one or more heads, [key][value] to [value][key] and back.
void TransposeHeads(const float* from, size_t heads, size_t n, float* to) {
  for (size_t h = 0; h < heads; ++h) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) to[(h * n + j) * n + i] = from[(h * n + i) * n + j];
    }
  }
}

// The numbers of the tensors in the reference's list: fixed slots, token ids and rows follow each
// other, then the last queries, of more layers than a small model has.
struct ReferenceList {
  explicit ReferenceList(const StateShape& s) {
    for (size_t layer = 0; layer < s.layers; ++layer) {
      for (const MemorySlot& slot : MemoryOf(s, layer)) {
        if (!IsQuery(slot)) ++rows;
      }
    }
    queries = rows + KeptRows(s).size();
    if (queries == rows) return;
    const size_t layers = std::max(s.layers, SchemaOf(s.generation).reference_layers);
    absent_layers = layers - s.layers;
    queries += absent_layers * ((queries - rows - 1) / s.layers);
  }

  static bool IsQuery(const MemorySlot& slot) { return slot.part == &LayerStrides::query_shift; }

  size_t rows = 0;     // the number of the token ids, which the rows follow
  size_t queries = 0;  // that of the first query
  size_t absent_layers = 0;
};

// Calls body(slot, floats of the state) for all layers, in the order of the reference's list. Last
// queries are at its end, after the rows per token.
template <class Values, class F>
void ForSlots(const StateShape& s, Values values, bool queries, const F& body) {
  size_t at = 0;
  for (size_t layer = 0; layer < s.layers; ++layer) {
    for (const MemorySlot& slot : MemoryOf(s, layer)) {
      if (ReferenceList::IsQuery(slot) == queries) {
        body(slot, values.subspan(at, slot.floats()));
      }
      at += slot.floats();
    }
  }
}

PastTokens NewPast(const StateShape& s) {
  PastTokens past;
  past.kept = TokenMemory(std::make_shared<const RowLayout>(KeptRows(s)));
  auto finished = FinishedRows(s);
  if (!finished.empty()) {
    past.finished = TokenMemory(std::make_shared<const RowLayout>(std::move(finished)));
  }
  return past;
}

size_t Number(const TensorFile& file, const std::string& key) {
  const auto it = file.metadata().find(key);
  size_t value = 0;
  if (it != file.metadata().end()) {
    const std::string& text = it->second;
    const auto end = text.data() + text.size();
    if (std::from_chars(text.data(), end, value).ptr == end && value < (size_t{1} << 24)) {
      return value;
    }
  }
  throw Error(ErrorKind::kBadState,
              fmt::format("{}: metadata {} is missing or not a number; the state file is damaged",
                          file.path().string(), key));
}

Generation GenerationNamed(const TensorFile& file) {
  const auto it = file.metadata().find("generation");
  for (const auto g : kGenerations) {
    if (it != file.metadata().end() && it->second == Name(g)) return g;
  }
  throw Error(ErrorKind::kBadState,
              file.path().string() + ": metadata generation is missing or unknown");
}

StateShape ShapeOf(const TensorFile& file) {
  StateShape s;
  s.generation = GenerationNamed(file);
  s.layers = Number(file, "layers");
  s.width = Number(file, "width");
  s.heads = Number(file, "heads");
  s.head_size = Number(file, "head_size");
  if (file.metadata().count("attention_from") != 0) {
    s.attention_from = Number(file, "attention_from");
    s.cache = Number(file, "cache");
  }
  const auto hash = file.metadata().find("model_hash");
  if (hash != file.metadata().end()) s.model_hash = hash->second;
  const auto identity = file.metadata().find("identity");
  if (identity != file.metadata().end()) s.identity = identity->second;
  return s;
}

// Version 2 has rows per token; files without a version are version 1.
constexpr size_t kVersion = 2;

void CheckVersion(const TensorFile& file) {
  const size_t version = file.metadata().count("version") == 0 ? 1 : Number(file, "version");
  if (version <= kVersion) return;
  throw Error(ErrorKind::kBadState,
              fmt::format("{}: a state of version {}, this program reads versions 1 to {}; use a "
                          "newer program",
                          file.path().string(), version, kVersion));
}

std::string ReferenceName(size_t number) { return fmt::format("state.{:03}", number); }

// state.012 → 12
std::optional<size_t> ReferenceNumber(std::string_view name) {
  constexpr std::string_view kPrefix = "state.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  size_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

std::map<std::string, std::string> MetadataOf(const State& state) {
  const StateShape& shape = state.shape();
  std::map<std::string, std::string> metadata = {{"kind", "linnet state"},
                                                 {"generation", Name(shape.generation)},
                                                 {"layers", std::to_string(shape.layers)},
                                                 {"width", std::to_string(shape.width)},
                                                 {"heads", std::to_string(shape.heads)},
                                                 {"head_size", std::to_string(shape.head_size)},
                                                 {"model_hash", shape.model_hash}};
  if (!shape.identity.empty()) metadata["identity"] = shape.identity;
  if (state.past() != nullptr) metadata["version"] = std::to_string(kVersion);
  if (shape.attention_from != 0) {
    metadata["attention_from"] = std::to_string(shape.attention_from);
    metadata["cache"] = std::to_string(shape.cache);
  }
  return metadata;
}

bool IsSaved(const TensorFile& file) {
  const auto kind = file.metadata().find("kind");
  return kind != file.metadata().end() && kind->second == "linnet state";
}

std::vector<int32_t> ReadIds(const TensorFile& file, const TensorView& t) {
  const auto values = ReadInts(t);
  std::vector<int32_t> ids;
  ids.reserve(values.size());
  for (const int64_t value : values) {
    if (value < INT32_MIN || value > INT32_MAX) {
      throw Error(ErrorKind::kBadState, fmt::format("{}: {} holds {}, expected token ids",
                                                    file.path().string(), t.name, value));
    }
    ids.push_back(static_cast<int32_t>(value));
  }
  return ids;
}

// Reads the tensors of a list one by one, and checks their shapes.
class ListReader {
 public:
  explicit ListReader(const TensorFile& file) : file_(file) {}

  void Read(const std::vector<size_t>& shape) {
    const TensorView& t = Next(shape, false);
    list_.push_back({t.shape, ReadAll(t), false, {}, number_++});
  }
  // Returns their number.
  size_t ReadTokens() {
    const TensorView* found = file_.Find(ReferenceName(number_));
    const TensorView& t = Next({found == nullptr ? 0 : found->elements()}, true);
    list_.push_back({t.shape, {}, true, ReadIds(file_, t), number_++});
    return t.elements();
  }
  void SkipTo(size_t number) { number_ = number; }
  std::vector<StateTensor>& list() { return list_; }

 private:
  const TensorView& Next(const std::vector<size_t>& shape, bool ids) {
    const std::string name = ReferenceName(number_);
    const TensorView* t = file_.Find(name);
    if (t != nullptr && t->shape == shape && IsFloat(t->type) != ids) return *t;
    throw Error(
        ErrorKind::kBadState,
        fmt::format("{}: {} is {}, expected {}[{}]", file_.path().string(), name,
                    t == nullptr ? "missing"
                                 : fmt::format("{}[{}]", IsFloat(t->type) ? "" : "token ids ",
                                               fmt::join(t->shape, ", ")),
                    ids ? "token ids " : "", fmt::join(shape, ", ")));
  }

  const TensorFile& file_;
  size_t number_ = 0;
  std::vector<StateTensor> list_;
};

// Tensors are looked up before memory is allocated from sizes that the file states.
std::vector<StateTensor> ReadList(const TensorFile& file, const StateShape& shape) {
  ListReader reader(file);
  const auto read = [&](bool queries) {
    for (size_t layer = 0; layer < shape.layers; ++layer) {
      for (const MemorySlot& slot : MemoryOf(shape, layer)) {
        if (ReferenceList::IsQuery(slot) == queries) reader.Read(slot.shape);
      }
    }
  };
  read(false);
  const auto kept = KeptRows(shape);
  if (!kept.empty()) {
    const size_t tokens = reader.ReadTokens();
    for (size_t i = 1; i < kept.size(); ++i) reader.Read({tokens, kept[i].width});
    reader.SkipTo(ReferenceList(shape).queries);
  }
  read(true);
  return std::move(reader.list());
}

State ReadSaved(const TensorFile& file, const StateShape* model) {
  CheckVersion(file);
  StateShape shape = ShapeOf(file);
  if (model != nullptr) {
    shape.rows = model->rows;
    shape.row_limit = model->row_limit;
  }
  try {
    return State::FromReference(shape, ReadList(file, shape));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kNoMemory) throw;
    throw Error(error.kind(), file.path().string() + ": " + error.what(), error.remedy());
  }
}

// BlinkDL's tuned states are [value][key] in every generation; the shifts start at zero.
State ReadTuned(const TensorFile& file, const StateShape& model) {
  const auto fail = [&](const std::string& what) {
    return Error(ErrorKind::kBadState, file.path().string() + ": " + what);
  };
  if (model.generation == Generation::k4) {
    throw fail("tuned states exist for RWKV-5 and later, this model is RWKV-4");
  }
  State state(model);
  state.set_identity({});  // nothing computed it
  const std::vector<size_t> expected = {model.heads, model.head_size, model.head_size};
  const auto strides = StridesOf(model);
  for (size_t layer = 0; layer < model.layers; ++layer) {
    if (strides[layer].wkv == 0) continue;
    const std::string name = TimeStateName(layer);
    const TensorView* t = file.Find(name);
    if (t == nullptr) {
      throw fail(fmt::format("{} is missing, expected a state of {}", name, Describe(model)));
    }
    if (t->shape != expected) {
      throw fail(fmt::format("{}, expected [{}]", linnet::Describe(*t), fmt::join(expected, ", ")));
    }
    const LayerState to = StateStrides{strides}.Layer(state.values().data(), layer);
    TransposeHeads(ReadAll(*t).data(), model.heads, model.head_size, to.wkv.data());
  }
  if (file.Find(TimeStateName(model.layers)) != nullptr) {
    throw fail(fmt::format("holds more layers than the model's {}", model.layers));
  }
  return state;
}

[[noreturn]] void RefuseUnknown(const TensorFile& file) {
  const auto has = [&](std::string_view part) {
    return std::any_of(file.tensors().begin(), file.tensors().end(),
                       [&](const TensorView& t) { return t.name.find(part) != t.name.npos; });
  };
  const char* found = "holds other tensors";
  if (has("lora_A") || has(".bone") || has(".disha")) {
    found = "is an adapter";
  } else if (has("emb.weight") || has("embeddings.weight")) {
    found = "is a model";
  }
  throw Error(
      ErrorKind::kBadState,
      fmt::format("{}: {}, expected a saved state, or a tuned one (blocks.N.att.time_state)",
                  file.path().string(), found));
}

// TensorFile's message for a file without tensors asks for a checkpoint; here a state is expected.
TensorFile OpenState(const std::filesystem::path& path) {
  constexpr std::string_view kCheckpoint = "a .pth, .safetensors or .gguf checkpoint";
  try {
    return OpenTensors(path);
  } catch (const Error& error) {
    std::string message = error.what();
    const size_t at = message.find(kCheckpoint);
    if (at == message.npos) throw;
    throw Error(error.kind(), message.replace(at, kCheckpoint.size(), "a saved or tuned state"));
  }
}

// `create` opens the writer of these tensors.
template <class F>
void WriteSaved(const State& state, std::span<const float> logits, SourceType type,
                const F& create) {
  const auto list = state.ToReference();
  std::vector<TensorSpec> specs;
  AddSpecs(list, specs, type);
  if (!logits.empty()) specs.push_back({kLogits, type, {logits.size()}});
  const std::unique_ptr<TensorWriter> writer = create(std::move(specs));
  AppendTensors(list, *writer, type);
  if (!logits.empty()) writer->AppendFloats(type, logits);
  writer->Finish();
}

}  // namespace

size_t StateShape::floats() const { return StateStrides{StridesOf(*this)}.floats(); }

size_t StateShape::token_bytes() const {
  if (!HasAttention(generation)) return 0;  // asked in every pass
  return RowLayout(KeptRows(*this)).token_bytes() + RowLayout(FinishedRows(*this)).token_bytes();
}

State::State(StateShape shape) : shape_(std::move(shape)), values_(shape_.floats()) {
  if (HasAttention(shape_.generation)) past_ = std::make_unique<PastTokens>(NewPast(shape_));
  Reset();
}

State::State(const State& other)
    : shape_(other.shape_),
      values_(other.values_),
      past_(other.past_ == nullptr ? nullptr : std::make_unique<PastTokens>(*other.past_)) {}

State::State(State&&) noexcept = default;
State& State::operator=(State&&) noexcept = default;
State::~State() = default;

void State::CopyFrom(const State& other) {
  std::unique_ptr<PastTokens> past;
  if (other.past_ != nullptr) past = std::make_unique<PastTokens>(*other.past_);
  std::copy(other.values_.begin(), other.values_.end(), values_.begin());
  past_ = std::move(past);
}

size_t State::tokens() const { return past_ == nullptr ? 0 : past_->kept.tokens(); }

size_t State::bytes() const {
  const size_t floats = values_.size() * sizeof(float);
  return past_ == nullptr ? floats : floats + past_->kept.bytes() + past_->finished.bytes();
}

void State::CheckRoom(size_t count) const {
  const size_t bytes = shape_.token_bytes(), limit = shape_.row_limit;
  if (bytes == 0 || (tokens() + count) <= limit / bytes) return;
  throw Error(
      ErrorKind::kNoMemory,
      fmt::format("the rows of {} tokens take {:.2f} MB ({} bytes each), more than the limit of "
                  "{:.2f} MB for a state",
                  tokens() + count, static_cast<double>((tokens() + count) * bytes) / 1e6, bytes,
                  static_cast<double>(limit) / 1e6),
      Remedy::kMoreRows);
}

void State::Reset() {
  float* at = values_.data();
  for (size_t layer = 0; layer < shape_.layers; ++layer) {
    for (const MemorySlot& slot : MemoryOf(shape_, layer)) {
      at = std::fill_n(at, slot.floats(), slot.first);
    }
  }
  if (past_ == nullptr) return;
  past_->kept.Truncate(0);
  past_->finished.Truncate(0);
}

std::vector<StateTensor> State::ToReference() const {
  std::vector<StateTensor> list;
  size_t number = 0;
  const auto add = [&](const MemorySlot& slot, std::span<const float> values) {
    StateTensor t{slot.shape, {values.begin(), values.end()}, false, {}, number++};
    if (slot.transposed) {
      TransposeHeads(values.data(), slot.shape[0], slot.shape[1], t.values.data());
    }
    list.push_back(std::move(t));
  };
  ForSlots(shape_, values(), false, add);
  if (past_ != nullptr) {
    const TokenMemory& kept = past_->kept;
    StateTensor& ids = list.emplace_back(StateTensor{{kept.tokens()}, {}, true, {}, number++});
    ids.ids.resize(kept.tokens());
    for (size_t t = 0; t < kept.tokens(); ++t) ids.ids[t] = past_->id(t);
    for (size_t i = 1; i < kept.layout()->slots().size(); ++i) {
      const size_t width = kept.layout()->slots()[i].width;
      StateTensor rows{{kept.tokens(), width}, {}, false, {}, number++};
      rows.values.resize(kept.tokens() * width);
      for (size_t t = 0; t < kept.tokens(); ++t) {
        std::memcpy(rows.values.data() + t * width, kept.Row(i, t), width * sizeof(float));
      }
      list.push_back(std::move(rows));
    }
  }
  const ReferenceList numbers(shape_);
  number = numbers.queries;
  ForSlots(shape_, values(), true, add);
  for (size_t layer = 0; layer < numbers.absent_layers; ++layer) {
    const std::vector<size_t> shape = list.back().shape;
    list.push_back({shape, std::vector<float>(ElementsOf(shape)), false, {}, number++});
  }
  return list;
}

State State::FromReference(StateShape shape, const std::vector<StateTensor>& list) {
  State state(shape);
  size_t next = 0, number = 0;
  const auto take = [&](const std::vector<size_t>& expected, bool ids) -> const StateTensor& {
    const StateTensor* t = next < list.size() ? &list[next] : nullptr;
    if (t != nullptr && t->number != 0 && t->number != number) t = nullptr;
    const size_t found = t == nullptr ? 0 : ids ? t->ids.size() : t->values.size();
    if (t == nullptr || t->is_ids != ids || found != ElementsOf(expected)) {
      throw Error(ErrorKind::kBadState,
                  fmt::format("{} {}, expected {}[{}] ({})", ReferenceName(number),
                              t == nullptr ? "is missing" : fmt::format("holds {} values", found),
                              ids ? "token ids " : "", fmt::join(expected, ", "), Describe(shape)));
    }
    ++next;
    ++number;
    return *t;
  };
  const auto put = [&](const MemorySlot& slot, std::span<float> values) {
    const float* from = take(slot.shape, false).values.data();
    if (slot.transposed) {
      TransposeHeads(from, slot.shape[0], slot.shape[1], values.data());
    } else {
      std::copy_n(from, values.size(), values.data());
    }
  };
  ForSlots(shape, state.values(), false, put);
  if (state.past_ != nullptr) {
    const size_t tokens = next < list.size() ? list[next].ids.size() : 0;
    const auto& ids = take({tokens}, true).ids;
    state.CheckRoom(tokens);
    state.past_->Append(ids);
    TokenMemory& kept = state.past_->kept;
    for (size_t i = 1; i < kept.layout()->slots().size(); ++i) {
      const size_t width = kept.layout()->slots()[i].width;
      const float* from = take({tokens, width}, false).values.data();
      for (size_t t = 0; t < tokens; ++t) {
        std::memcpy(kept.MutableRow(i, t), from + t * width, width * sizeof(float));
      }
    }
  }
  const ReferenceList numbers(shape);
  number = numbers.queries;
  ForSlots(shape, state.values(), true, put);
  const size_t least = next, most = next + numbers.absent_layers;
  if (list.size() != least && list.size() != most) {
    throw Error(ErrorKind::kBadState, fmt::format("a state of {} tensors, expected {} ({})",
                                                  list.size(), most, Describe(shape)));
  }
  return state;
}

void State::Save(const std::filesystem::path& path, std::span<const float> logits) const {
  WriteSaved(*this, logits, SourceType::kF32, [&](std::vector<TensorSpec> specs) {
    return TensorWriter::Create(path, std::move(specs), MetadataOf(*this));
  });
}

std::vector<std::byte> SavedBytes(const State& state, std::span<const float> logits,
                                  SourceType type) {
  std::vector<std::byte> bytes;
  WriteSaved(state, logits, type, [&](std::vector<TensorSpec> specs) {
    return TensorWriter::CreateInMemory(bytes, std::move(specs), MetadataOf(state));
  });
  return bytes;
}

void AddSpecs(std::span<const StateTensor> list, std::vector<TensorSpec>& specs, SourceType type) {
  for (const StateTensor& t : list) {
    specs.push_back({ReferenceName(t.number), t.is_ids ? SourceType::kI32 : type, t.shape});
  }
}

void AppendTensors(std::span<const StateTensor> list, TensorWriter& writer, SourceType type) {
  for (const StateTensor& t : list) {
    if (t.is_ids) {
      writer.Append(std::as_bytes(std::span(t.ids)));
    } else {
      writer.AppendFloats(type, t.values);
    }
  }
}

std::vector<StateTensor> ReadTensors(const TensorFile& file) {
  std::map<size_t, const TensorView*> found;
  for (const TensorView& t : file.tensors()) {
    if (const auto number = ReferenceNumber(t.name)) found.emplace(*number, &t);
  }
  std::vector<StateTensor> list;
  list.reserve(found.size());
  for (const auto& [number, t] : found) {
    if (IsFloat(t->type)) {
      list.push_back({t->shape, ReadAll(*t), false, {}, number});
    } else {
      list.push_back({t->shape, {}, true, ReadIds(file, *t), number});
    }
  }
  return list;
}

std::vector<float> ReadLogits(const TensorFile& file) {
  const TensorView* last = file.Find(kLogits);
  return last != nullptr ? ReadAll(*last) : std::vector<float>();
}

State ReadState(const TensorFile& file) {
  if (!IsSaved(file)) RefuseUnknown(file);
  return ReadSaved(file, nullptr);
}

State ReadState(const TensorFile& file, const StateShape& model) {
  if (file.Find("blocks.0.att.time_state") != nullptr) return ReadTuned(file, model);
  if (!IsSaved(file)) RefuseUnknown(file);
  State state = ReadSaved(file, &model);
  const StateShape& found = state.shape();
  const std::string path = file.path().string();
  if (!SameStateSizes(found, model)) {
    throw Error(ErrorKind::kBadState, fmt::format("{}: a state of {}, but the model is {}", path,
                                                  Describe(found), Describe(model)));
  }
  if (!found.model_hash.empty() && !model.model_hash.empty() &&
      found.model_hash != model.model_hash) {
    throw Error(ErrorKind::kBadState,
                fmt::format("{}: a state of another model ({}) of the same size, this one is {}",
                            path, found.model_hash, model.model_hash));
  }
  if (!model.identity.empty() && found.identity != model.identity) {
    throw Error(
        ErrorKind::kBadState,
        fmt::format("{}: a state of {}, this one is {}", path,
                    found.identity.empty() ? "an unknown execution identity"
                                           : "another execution identity (" + found.identity + ")",
                    model.identity));
  }
  return state;
}

State State::Load(const std::filesystem::path& path) { return ReadState(OpenState(path)); }

State State::Load(const std::filesystem::path& path, const StateShape& model,
                  std::vector<float>* logits) {
  const TensorFile file = OpenState(path);
  State state = ReadState(file, model);
  state.shape_.model_hash = model.model_hash;
  if (logits != nullptr) *logits = ReadLogits(file);
  return state;
}

}  // namespace linnet
