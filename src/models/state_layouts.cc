#include "models/state_layouts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/mapped_file.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/schema.h"
#include "models/state_file.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

using Metadata = std::map<std::string, std::string>;
// Opens the file, or the memory, that these tensors go to.
using OpenWriter =
    std::function<std::unique_ptr<TensorWriter>(std::vector<TensorSpec>, const Metadata&)>;

Error Bad(const fs::path& path, const std::string& what) {
  return Error(ErrorKind::kBadState, path.string() + ": " + what);
}

std::string Sizes(const StateShape& s) {
  return fmt::format("RWKV-{} with {} layers, width {}, {} heads", Name(s.generation), s.layers,
                     s.width, s.heads);
}

bool IsV4(const StateShape& s) { return s.generation == Generation::k4; }

// The parts of one layer in State's layout, S as [key][value].
template <class T>
struct Layer {
  std::span<T> att_x, wkv, ffn_x;
};

template <class T>
Layer<T> LayerOf(std::span<T> values, const StateShape& s, size_t layer) {
  const LayerStrides at = StridesOf(s)[layer];
  const auto all = values.subspan(at.begin, at.floats());
  return {all.first(at.att_shift), all.subspan(at.att_shift, at.wkv),
          all.subspan(at.att_shift + at.wkv, at.ffn_shift)};
}

// rwkv.cpp and web-rwkv know two shifts and one S (or aa, bb, pp) in each layer, and nothing else.
void CheckPlain(const StateShape& s, const fs::path& path, const char* program) {
  const auto refuse = [&](const char* why) {
    throw Bad(path, fmt::format("{} has no layout for RWKV-{}, {}; use the layout reference",
                                program, Name(s.generation), why));
  };
  if (HasAttention(s.generation)) refuse("whose states keep rows for each token");
  for (const LayerStrides& layer : StridesOf(s)) {
    const bool plain = layer.att_shift == s.width && layer.ffn_shift == s.width &&
                       layer.wkv == StridesOf(s)[0].wkv &&
                       layer.floats() == 2 * s.width + layer.wkv;
    if (!plain) refuse("whose layers differ in what they keep");
  }
}

// Tuned states are one S in each layer. What came after them, they cannot store.
void CheckTimeState(const StateShape& s, const fs::path& path) {
  const size_t floats = s.heads * s.head_size * s.head_size;
  for (const LayerStrides& layer : StridesOf(s)) {
    if (layer.wkv == floats) continue;
    throw Bad(path, fmt::format("time_state has no layout for RWKV-{}, whose layers differ in what "
                                "they keep; use the layout reference",
                                Name(s.generation)));
  }
}

// [heads, N, N] with the last two dimensions swapped.
std::vector<float> Transposed(std::span<const float> wkv, size_t heads, size_t n) {
  std::vector<float> out(wkv.size());
  for (size_t h = 0; h < heads; ++h) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) out[(h * n + j) * n + i] = wkv[(h * n + i) * n + j];
    }
  }
  return out;
}

// The reference's S, the same in rwkv.cpp: [value][key] only in v7. It is its own inverse.
std::vector<float> InReferenceOrder(std::span<const float> wkv, const StateShape& s) {
  if (MemoryOf(s, 0)[1].transposed) return Transposed(wkv, s.heads, s.head_size);
  return {wkv.begin(), wkv.end()};
}

std::vector<std::byte> RwkvCppBytes(const State& state, const fs::path& path) {
  const StateShape& s = state.shape();
  CheckPlain(s, path, "rwkv.cpp");
  std::vector<std::byte> bytes;
  bytes.reserve(s.floats() * sizeof(float));
  const auto add = [&](std::span<const float> values) {
    const auto part = std::as_bytes(values);
    bytes.insert(bytes.end(), part.begin(), part.end());
  };
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const auto part = LayerOf(state.values(), s, layer);
    add(part.ffn_x);
    add(part.att_x);
    add(InReferenceOrder(part.wkv, s));
  }
  return bytes;
}

State ImportRwkvCpp(std::span<const std::byte> bytes, const fs::path& path, const StateShape& s) {
  CheckPlain(s, path, "rwkv.cpp");
  if (bytes.size() != s.floats() * sizeof(float)) {
    throw Bad(path, fmt::format("{} bytes, expected {} ({})", bytes.size(),
                                s.floats() * sizeof(float), Sizes(s)));
  }
  State state(s);
  std::vector<float> values(s.floats());
  std::memcpy(values.data(), bytes.data(), bytes.size());
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const auto to = LayerOf(state.values(), s, layer);
    const auto from = std::span<const float>(values).subspan(layer * (2 * s.width + to.wkv.size()));
    std::copy_n(from.begin(), s.width, to.ffn_x.begin());
    std::copy_n(from.begin() + static_cast<ptrdiff_t>(s.width), s.width, to.att_x.begin());
    const auto wkv = InReferenceOrder(from.subspan(2 * s.width, to.wkv.size()), s);
    std::copy(wkv.begin(), wkv.end(), to.wkv.begin());
  }
  return state;
}

// [heads, keys, values] to [keys, heads * values], or back.
void MoveHeads(const float* from, const StateShape& s, bool back, float* to) {
  const size_t n = s.head_size;
  for (size_t h = 0; h < s.heads; ++h) {
    for (size_t key = 0; key < n; ++key) {
      const size_t by_head = (h * n + key) * n, by_key = (key * s.heads + h) * n;
      std::copy_n(from + (back ? by_key : by_head), n, to + (back ? by_head : by_key));
    }
  }
}

std::vector<size_t> WebRwkvShape(const StateShape& s) {
  if (IsV4(s)) return {1, 1, 5 * s.layers, s.width};
  return {1, s.layers, s.head_size + 2, s.width};
}

void CheckWebRwkv(const StateShape& s, const fs::path& path) {
  CheckPlain(s, path, "web-rwkv");
  if (s.heads * s.head_size == s.width) return;
  throw Bad(path, fmt::format("web-rwkv has no layout for {} heads of {} in width {}", s.heads,
                              s.head_size, s.width));
}

std::vector<float> WebRwkvValues(const State& state) {
  const StateShape& s = state.shape();
  std::vector<float> values(s.floats());
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const auto from = LayerOf(state.values(), s, layer);
    const auto to = LayerOf(std::span<float>(values), s, layer);
    std::copy(from.att_x.begin(), from.att_x.end(), to.att_x.begin());
    std::copy(from.ffn_x.begin(), from.ffn_x.end(), to.ffn_x.begin());
    std::copy(from.wkv.begin(), from.wkv.end(), to.wkv.begin());
    if (!IsV4(s)) MoveHeads(from.wkv.data(), s, false, to.wkv.data());
  }
  return values;
}

State OfWebRwkvValues(std::span<const float> values, const StateShape& s) {
  State state(s);
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const auto from = LayerOf(values, s, layer);
    const auto to = LayerOf(state.values(), s, layer);
    std::copy(from.att_x.begin(), from.att_x.end(), to.att_x.begin());
    std::copy(from.ffn_x.begin(), from.ffn_x.end(), to.ffn_x.begin());
    if (IsV4(s)) {
      std::copy(from.wkv.begin(), from.wkv.end(), to.wkv.begin());
    } else {
      MoveHeads(from.wkv.data(), s, true, to.wkv.data());
    }
  }
  return state;
}

void ExportWebRwkv(const State& state, const fs::path& path, const OpenWriter& open) {
  const StateShape& s = state.shape();
  CheckWebRwkv(s, path);
  const auto writer = open({{"state", SourceType::kF32, WebRwkvShape(s)}},
                           {{"layout", "web-rwkv"}, {"generation", Name(s.generation)}});
  writer->AppendFloats(SourceType::kF32, WebRwkvValues(state));
  writer->Finish();
}

// Tuned states; `keys_first` is the transposed layout of web-rwkv's converter.
State ImportTuned(const TensorFile& file, const StateShape& s, bool keys_first) {
  if (IsV4(s)) throw Bad(file.path(), "tuned states exist for RWKV-5 and later, expected RWKV-4");
  CheckTimeState(s, file.path());
  State state(s);
  const std::vector<size_t> expected = {s.heads, s.head_size, s.head_size};
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const TensorView* t = file.Find(TimeStateName(layer));
    if (t == nullptr || t->shape != expected) {
      throw Bad(file.path(),
                fmt::format("{}, expected [{}] ({})",
                            t == nullptr ? TimeStateName(layer) + " is missing" : Describe(*t),
                            fmt::join(expected, ", "), Sizes(s)));
    }
    const auto values = ReadAll(keys_first ? *t : t->Transposed());
    const auto to = LayerOf(state.values(), s, layer).wkv;
    std::copy(values.begin(), values.end(), to.begin());
  }
  if (file.Find(TimeStateName(s.layers)) != nullptr) {
    throw Bad(file.path(), fmt::format("holds more layers than the model's {}", s.layers));
  }
  return state;
}

State ImportWebRwkv(const TensorFile& file, const StateShape& s) {
  const fs::path& path = file.path();
  CheckWebRwkv(s, path);
  if (file.Find(TimeStateName(0)) != nullptr) return ImportTuned(file, s, true);
  const TensorView* t = file.Find("state");
  if (t == nullptr && file.tensors().size() == 1) t = &file.tensors().front();
  if (t == nullptr) {
    throw Bad(path, fmt::format("{} tensors, expected one, named state", file.tensors().size()));
  }
  const auto expected = WebRwkvShape(s);
  std::vector<size_t> shape = t->shape;  // with or without leading dimensions of 1
  if (shape.size() < 4) shape.insert(shape.begin(), 4 - shape.size(), 1);
  if (shape != expected) {
    throw Bad(path, fmt::format("{}, expected [{}] ({})", Describe(*t), fmt::join(expected, ", "),
                                Sizes(s)));
  }
  return OfWebRwkvValues(ReadAll(*t), s);
}

void ExportTimeState(const State& state, const fs::path& path, const OpenWriter& open) {
  const StateShape& s = state.shape();
  if (IsV4(s)) throw Bad(path, "time_state exists for RWKV-5 and later, this state is RWKV-4's");
  CheckTimeState(s, path);
  if (state.tokens() > 0) {
    throw Bad(path, fmt::format("time_state stores S only, and this state keeps rows of {} tokens; "
                                "use the layout reference",
                                state.tokens()));
  }
  std::vector<TensorSpec> specs;
  for (size_t layer = 0; layer < s.layers; ++layer) {
    specs.push_back({TimeStateName(layer), SourceType::kF32, {s.heads, s.head_size, s.head_size}});
  }
  const auto writer = open(std::move(specs), {});
  for (size_t layer = 0; layer < s.layers; ++layer) {
    const auto part = LayerOf(state.values(), s, layer);
    writer->AppendFloats(SourceType::kF32, Transposed(part.wkv, s.heads, s.head_size));
  }
  writer->Finish();
}

State ImportReference(const TensorFile& file, const StateShape& s) {
  const auto list = ReadTensors(file);
  try {
    return State::FromReference(s, list);
  } catch (const Error& error) {
    throw Error(error.kind(), file.path().string() + ": " + error.what(), error.remedy());
  }
}

State ImportTensors(const TensorFile& file, StateLayout layout, const StateShape& model) {
  switch (layout) {
    case StateLayout::kReference:
      return ImportReference(file, model);
    case StateLayout::kWebRwkv:
      return ImportWebRwkv(file, model);
    default:
      return ImportTuned(file, model, false);
  }
}

}  // namespace

std::optional<StateLayout> ParseStateLayout(std::string_view name) {
  if (name == "reference") return StateLayout::kReference;
  if (name == "rwkv.cpp") return StateLayout::kRwkvCpp;
  if (name == "web-rwkv") return StateLayout::kWebRwkv;
  if (name == "time_state") return StateLayout::kTimeState;
  if (name == "rwkv-runner") return StateLayout::kRwkvRunner;
  return std::nullopt;
}

bool IsTuned(StateLayout layout) {
  return layout == StateLayout::kTimeState || layout == StateLayout::kRwkvRunner;
}

WebRwkvTensor ToWebRwkv(const State& state) {
  const StateShape& s = state.shape();
  CheckWebRwkv(s, "the state");
  const std::vector<size_t> shape = WebRwkvShape(s);
  WebRwkvTensor tensor{.values = WebRwkvValues(state)};
  std::copy(shape.rbegin(), shape.rend(), tensor.shape.begin());
  return tensor;
}

State FromWebRwkv(const WebRwkvTensor& tensor, const StateShape& model) {
  const fs::path name = "the state";
  CheckWebRwkv(model, name);
  std::vector<size_t> expected = WebRwkvShape(model);
  std::reverse(expected.begin(), expected.end());
  const bool fits = std::equal(expected.begin(), expected.end(), tensor.shape.begin());
  if (!fits || tensor.values.size() != model.floats()) {
    throw Bad(name, fmt::format("shape [{}] with {} values, expected [{}] with {} ({})",
                                fmt::join(tensor.shape, ", "), tensor.values.size(),
                                fmt::join(expected, ", "), model.floats(), Sizes(model)));
  }
  for (const float x : tensor.values) {
    if (!std::isfinite(x)) throw Bad(name, "has a value that is not finite");
  }
  return OfWebRwkvValues(tensor.values, model);
}

void ExportState(const State& state, StateLayout layout, const fs::path& path) {
  const OpenWriter open = [&path](std::vector<TensorSpec> specs, const Metadata& metadata) {
    return TensorWriter::Create(path, std::move(specs), metadata);
  };
  switch (layout) {
    case StateLayout::kReference:
      return state.Save(path);
    case StateLayout::kRwkvCpp: {
      const auto bytes = RwkvCppBytes(state, path);
      AtomicFile file(path);
      file.Write(bytes);
      return file.Commit();
    }
    case StateLayout::kWebRwkv:
      return ExportWebRwkv(state, path, open);
    case StateLayout::kRwkvRunner:
      if (path.extension() != ".pth") {
        throw Error(ErrorKind::kBadInput,
                    path.string() + ": RWKV-Runner opens states whose name ends in .pth only");
      }
      return ExportTimeState(state, path, open);
    case StateLayout::kTimeState:
      return ExportTimeState(state, path, open);
  }
}

std::vector<std::byte> ExportedState(const State& state, StateLayout layout) {
  const fs::path name = "the state";
  std::vector<std::byte> bytes;
  const OpenWriter open = [&bytes](std::vector<TensorSpec> specs, const Metadata& metadata) {
    return TensorWriter::CreateInMemory(bytes, std::move(specs), metadata);
  };
  switch (layout) {
    case StateLayout::kReference:
      return SavedBytes(state);
    case StateLayout::kRwkvCpp:
      return RwkvCppBytes(state, name);
    case StateLayout::kWebRwkv:
      ExportWebRwkv(state, name, open);
      break;
    case StateLayout::kTimeState:
      ExportTimeState(state, name, open);
      break;
    case StateLayout::kRwkvRunner:
      ExportTimeState(state, name, [&bytes](std::vector<TensorSpec> specs, const Metadata&) {
        return TensorWriter::CreateTorchInMemory(bytes, std::move(specs));
      });
      break;
  }
  return bytes;
}

State ImportState(const fs::path& path, StateLayout layout, const StateShape& model) {
  if (layout == StateLayout::kRwkvCpp) {
    return ImportRwkvCpp(MappedFile(path).bytes(), path, model);
  }
  // What no file can hold is said before one is looked at.
  if (layout == StateLayout::kWebRwkv) CheckWebRwkv(model, path);
  return ImportTensors(OpenTensors(path), layout, model);
}

State ImportState(std::span<const std::byte> bytes, const std::string& name, StateLayout layout,
                  const StateShape& model) {
  if (layout == StateLayout::kRwkvCpp) return ImportRwkvCpp(bytes, name, model);
  if (layout == StateLayout::kWebRwkv) CheckWebRwkv(model, name);
  return ImportTensors(ParseTensors(bytes, name), layout, model);
}

}  // namespace linnet
