#include "linnet/state.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/schema.h"
#include "models/state_file.h"

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

// Those of all layers, in the order of the reference's list.
std::vector<MemorySlot> SlotsOf(const StateShape& s) {
  std::vector<MemorySlot> all;
  for (size_t layer = 0; layer < s.layers; ++layer) {
    for (MemorySlot& slot : MemoryOf(s, layer)) all.push_back(std::move(slot));
  }
  return all;
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
  const auto hash = file.metadata().find("model_hash");
  if (hash != file.metadata().end()) s.model_hash = hash->second;
  const auto identity = file.metadata().find("identity");
  if (identity != file.metadata().end()) s.identity = identity->second;
  return s;
}

bool IsSaved(const TensorFile& file) {
  const auto kind = file.metadata().find("kind");
  return kind != file.metadata().end() && kind->second == "linnet state";
}

State ReadSaved(const TensorFile& file) {
  const StateShape shape = ShapeOf(file);
  std::vector<StateTensor> list;
  // Tensors are looked up before memory is allocated from sizes that the file states.
  for (size_t layer = 0; layer < shape.layers; ++layer) {
    for (const MemorySlot& slot : MemoryOf(shape, layer)) {
      const std::string name = fmt::format("state.{:03}", list.size());
      const TensorView* t = file.Find(name);
      if (t == nullptr || t->shape != slot.shape) {
        throw Error(
            ErrorKind::kBadState,
            fmt::format("{}: {} is {}, expected [{}]", file.path().string(), name,
                        t == nullptr ? "missing" : fmt::format("[{}]", fmt::join(t->shape, ", ")),
                        fmt::join(slot.shape, ", ")));
      }
      list.push_back({t->shape, ReadAll(*t)});
    }
  }
  return State::FromReference(shape, list);
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

bool SameSizes(const StateShape& a, const StateShape& b) {
  return a.generation == b.generation && a.layers == b.layers && a.width == b.width &&
         a.heads == b.heads && a.head_size == b.head_size;
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

}  // namespace

size_t StateShape::floats() const { return StateStrides{StridesOf(*this)}.floats(); }

State::State(StateShape shape) : shape_(std::move(shape)), values_(shape_.floats()) { Reset(); }

void State::Reset() {
  float* at = values_.data();
  for (const MemorySlot& slot : SlotsOf(shape_)) at = std::fill_n(at, slot.floats(), slot.first);
}

std::vector<StateTensor> State::ToReference() const {
  std::vector<StateTensor> list;
  const float* at = values_.data();
  for (const MemorySlot& slot : SlotsOf(shape_)) {
    const size_t n = slot.floats();
    StateTensor t{slot.shape, std::vector<float>(at, at + n)};
    if (slot.transposed) TransposeHeads(at, slot.shape[0], slot.shape[1], t.values.data());
    list.push_back(std::move(t));
    at += n;
  }
  return list;
}

State State::FromReference(StateShape shape, const std::vector<StateTensor>& list) {
  const auto slots = SlotsOf(shape);
  if (list.size() != slots.size()) {
    throw Error(ErrorKind::kBadState, fmt::format("a state of {} tensors, expected {} ({})",
                                                  list.size(), slots.size(), Describe(shape)));
  }
  State state(shape);
  float* at = state.values_.data();
  for (size_t i = 0; i < list.size(); ++i) {
    const MemorySlot& slot = slots[i];
    const size_t n = slot.floats();
    if (list[i].values.size() != n) {
      throw Error(ErrorKind::kBadState,
                  fmt::format("state.{:03} holds {} values, expected [{}]", i,
                              list[i].values.size(), fmt::join(slot.shape, ", ")));
    }
    if (slot.transposed) {
      TransposeHeads(list[i].values.data(), slot.shape[0], slot.shape[1], at);
    } else {
      std::copy(list[i].values.begin(), list[i].values.end(), at);
    }
    at += n;
  }
  return state;
}

void State::Save(const std::filesystem::path& path, std::span<const float> logits) const {
  const auto list = ToReference();
  std::vector<TensorSpec> specs;
  for (size_t i = 0; i < list.size(); ++i) {
    specs.push_back({fmt::format("state.{:03}", i), SourceType::kF32, list[i].shape});
  }
  if (!logits.empty()) specs.push_back({kLogits, SourceType::kF32, {logits.size()}});
  std::map<std::string, std::string> metadata = {{"kind", "linnet state"},
                                                 {"generation", Name(shape_.generation)},
                                                 {"layers", std::to_string(shape_.layers)},
                                                 {"width", std::to_string(shape_.width)},
                                                 {"heads", std::to_string(shape_.heads)},
                                                 {"head_size", std::to_string(shape_.head_size)},
                                                 {"model_hash", shape_.model_hash}};
  if (!shape_.identity.empty()) metadata["identity"] = shape_.identity;
  const auto writer = TensorWriter::Create(path, specs, metadata);
  for (const StateTensor& t : list) writer->AppendFloats(SourceType::kF32, t.values);
  if (!logits.empty()) writer->AppendFloats(SourceType::kF32, logits);
  writer->Finish();
}

State ReadState(const TensorFile& file) {
  if (!IsSaved(file)) RefuseUnknown(file);
  return ReadSaved(file);
}

State ReadState(const TensorFile& file, const StateShape& model) {
  if (file.Find("blocks.0.att.time_state") != nullptr) return ReadTuned(file, model);
  State state = ReadState(file);
  const StateShape& found = state.shape();
  const std::string path = file.path().string();
  if (!SameSizes(found, model)) {
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
  if (logits != nullptr) {
    const TensorView* last = file.Find(kLogits);
    *logits = last != nullptr ? ReadAll(*last) : std::vector<float>();
  }
  return state;
}

}  // namespace linnet
