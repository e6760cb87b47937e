// linnet.State.
#include "linnet/state.h"

#include <fmt/format.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "bindings/python/arrays.h"
#include "bindings/python/bindings.h"
#include "io/tensor_file.h"
#include "models/init.h"
#include "models/schema.h"
#include "models/state_file.h"

namespace linnet::python {
namespace {

// A part of the memory of the first `layers` layers, which are alike: `offset` in the layer, and a
// layer's shape.
struct Slot {
  std::string name;
  size_t offset, layers;
  std::vector<size_t> shape;

  size_t floats() const {
    size_t n = 1;
    for (const size_t size : shape) n *= size;
    return n;
  }
};

size_t LayerFloats(const StateShape& s) { return StridesOf(s).front().floats(); }

// Those of the first kind of layers.
std::vector<Slot> SlotsOf(const StateShape& s) {
  const auto strides = StridesOf(s);
  size_t layers = 0, offset = 0;
  while (layers < strides.size() && strides[layers].floats() == strides[0].floats()) ++layers;
  std::vector<Slot> slots;
  const auto memory = MemoryOf(s, 0);
  slots.reserve(memory.size());
  for (const MemorySlot& slot : memory) {
    slots.push_back({slot.name, offset, layers, slot.shape});
    offset += slot.floats();
  }
  return slots;
}

Slot SlotNamed(const StateShape& shape, const std::string& name) {
  std::string names;
  for (Slot& slot : SlotsOf(shape)) {
    if (slot.name == name) return std::move(slot);
    names += fmt::format("{}{}", names.empty() ? "" : ", ", slot.name);
  }
  throw nb::key_error(fmt::format("'{}', expected one of {}", name, names).c_str());
}

StateObject& Of(nb::handle self) { return nb::cast<StateObject&>(self); }

nb::object View(nb::handle self, const std::string& name) {
  State& state = Of(self).state;
  const Slot slot = SlotNamed(state.shape(), name);
  std::vector<size_t> shape = {slot.layers};
  shape.insert(shape.end(), slot.shape.begin(), slot.shape.end());
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size() - 1; i > 1; --i) {
    strides[i - 1] = strides[i] * static_cast<int64_t>(shape[i]);
  }
  strides[0] = static_cast<int64_t>(LayerFloats(state.shape()));
  return ArrayView(state.values().data() + slot.offset, shape, strides, self);
}

nb::object Values(nb::handle self) {
  const std::span<float> values = Of(self).state.values();
  return ArrayView(values.data(), {values.size()}, {1}, self);
}

std::vector<std::string> SlotNames(const StateObject& self) {
  std::vector<std::string> names;
  for (const Slot& slot : SlotsOf(self.state.shape())) names.emplace_back(slot.name);
  return names;
}

bool SameSizes(const StateShape& a, const StateShape& b) {
  return a.generation == b.generation && a.layers == b.layers && a.width == b.width &&
         a.heads == b.heads && a.head_size == b.head_size;
}

void CheckSame(const StateShape& a, const StateShape& b) {
  if (SameSizes(a, b)) return;
  throw Error(ErrorKind::kBadState,
              fmt::format("a state of RWKV-{}, {} layers, width {}, {} heads; expected RWKV-{}, {} "
                          "layers, width {}, {} heads",
                          Name(b.generation), b.layers, b.width, b.heads, Name(a.generation),
                          a.layers, a.width, a.heads));
}

// The largest absolute difference; NaN if any value is NaN.
double LargestDifference(std::span<const float> a, std::span<const float> b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double difference = std::abs(double{a[i]} - b[i]);
    if (!(difference <= most)) most = difference;
    if (std::isnan(most)) break;
  }
  return most;
}

nb::dict Diff(StateObject& self, StateObject& other) {
  const Busy::Use use(self.busy, "the state");
  const StateShape& shape = self.state.shape();
  CheckSame(shape, other.state.shape());
  nb::dict result;
  for (const Slot& slot : SlotsOf(shape)) {
    std::vector<double> layers;
    layers.reserve(slot.layers);
    for (size_t i = 0; i < slot.layers; ++i) {
      const size_t at = i * LayerFloats(shape) + slot.offset;
      layers.push_back(LargestDifference(self.state.values().subspan(at, slot.floats()),
                                         other.state.values().subspan(at, slot.floats())));
    }
    result[slot.name.c_str()] = nb::cast(layers);
  }
  return result;
}

nb::list ToReference(StateObject& self) {
  const Busy::Use use(self.busy, "the state");
  nb::list list;
  for (const StateTensor& tensor : self.state.ToReference()) {
    if (tensor.is_ids) {
      auto* ids = new std::vector<int32_t>(tensor.ids);
      const nb::capsule owner(
          ids, [](void* p) noexcept { delete static_cast<std::vector<int32_t>*>(p); });
      list.append(nb::cast(nb::ndarray<nb::numpy, int32_t>(ids->data(), tensor.shape.size(),
                                                           tensor.shape.data(), owner)));
      continue;
    }
    auto* values = new std::vector<float>(tensor.values);
    const nb::capsule owner(values,
                            [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
    list.append(nb::cast(nb::ndarray<nb::numpy, float>(values->data(), tensor.shape.size(),
                                                       tensor.shape.data(), owner)));
  }
  return list;
}

void AssignReference(StateObject& self, nb::handle list) {
  const Busy::Use use(self.busy, "the state");
  std::vector<StateTensor> tensors;
  for (const nb::handle item : nb::iter(list)) {
    nb::ndarray<const int32_t, nb::c_contig, nb::device::cpu> ids;
    if (nb::try_cast(item, ids, false)) {
      StateTensor tensor{.shape = {ids.size()}, .values = {}, .is_ids = true};
      tensor.ids.assign(ids.data(), ids.data() + ids.size());
      tensors.push_back(std::move(tensor));
      continue;
    }
    nb::ndarray<const float, nb::c_contig, nb::device::cpu> array;
    if (!nb::try_cast(item, array, true)) {
      throw Error(ErrorKind::kBadState, "a state's list holds something else than float arrays");
    }
    StateTensor tensor;
    for (size_t i = 0; i < array.ndim(); ++i) tensor.shape.push_back(array.shape(i));
    tensor.values.assign(array.data(), array.data() + array.size());
    tensors.push_back(std::move(tensor));
  }
  // Copied into place, because arrays may be views of it.
  self.state.CopyFrom(State::FromReference(self.state.shape(), tensors));
  self.logits.clear();
}

void Assign(StateObject& self, StateObject& from) {
  if (&self == &from) return;
  const Busy::Use use(self.busy, "the state"), other(from.busy, "the other state");
  CheckSame(self.state.shape(), from.state.shape());
  self.state.CopyFrom(from.state);
  self.state.set_identity(from.state.identity());
  self.logits = from.logits;
}

StateObject* Clone(StateObject& self) {
  const Busy::Use use(self.busy, "the state");
  return new StateObject(self.state.Clone(), self.logits);
}

void Save(StateObject& self, const std::filesystem::path& path, nb::handle logits) {
  const Busy::Use use(self.busy, "the state");
  const std::vector<float> given = logits.is_none() ? self.logits : FloatsOf(logits);
  RunFreely([&] { self.state.Save(path, given); });
}

StateObject* Load(const std::filesystem::path& path, const ModelObject* model) {
  std::vector<float> logits;
  if (model == nullptr) return new StateObject(State::Load(path));
  State state = State::Load(path, model->opened->model.state_shape(), &logits);
  return new StateObject(std::move(state), std::move(logits));
}

using Pickled =
    std::tuple<std::string, std::vector<size_t>, std::string, std::string, nb::bytes, nb::bytes>;

nb::bytes BytesOf(std::span<const float> values) {
  return nb::bytes(values.data(), values.size_bytes());
}

// With rows per token: the bytes of a saved state, how it keeps rows and how many, the logits.
using PickledRows = std::tuple<nb::bytes, uint8_t, size_t, nb::bytes>;

nb::object GetState(StateObject& self) {
  const Busy::Use use(self.busy, "the state");
  const StateShape& s = self.state.shape();
  if (self.state.past() != nullptr) {
    const auto saved = SavedBytes(self.state);
    return nb::cast(PickledRows{nb::bytes(saved.data(), saved.size()), static_cast<uint8_t>(s.rows),
                                s.row_limit, BytesOf(self.logits)});
  }
  return nb::cast(Pickled{Name(s.generation),
                          {s.layers, s.width, s.heads, s.head_size},
                          s.model_hash,
                          s.identity,
                          BytesOf(self.state.values()),
                          BytesOf(self.logits)});
}

std::vector<float> FloatsOfPickle(const nb::bytes& bytes) {
  if (bytes.size() % sizeof(float) != 0) {
    throw Error(ErrorKind::kBadState, "a pickled state is damaged: its logits are no floats");
  }
  std::vector<float> floats(bytes.size() / sizeof(float));
  if (!floats.empty()) std::memcpy(floats.data(), bytes.c_str(), bytes.size());
  return floats;
}

void SetRows(StateObject& self, const PickledRows& pickled) {
  const auto& [saved, rows, row_limit, logits] = pickled;
  if (rows > static_cast<uint8_t>(RowStorage::kCompact)) {
    throw Error(ErrorKind::kBadState,
                fmt::format("a pickled state keeps its rows in form {}, expected 0 to 2", rows));
  }
  std::vector<float> after = FloatsOfPickle(logits);
  try {
    const TensorFile file =
        TensorFile::Parse(std::as_bytes(std::span(saved.c_str(), saved.size())), "a pickled state");
    StateShape shape = ReadState(file).shape();
    shape.rows = RowStorage{rows};
    shape.row_limit = row_limit;
    new (&self) StateObject(ReadState(file, shape), std::move(after));
  } catch (const Error& error) {
    const std::string what = error.what();
    throw Error(ErrorKind::kBadState,
                (what.starts_with("a pickled") ? "" : "a pickled state: ") + what);
  }
}

Generation GenerationOfPickle(const std::string& name) {
  const auto generation = ParseGeneration(name);
  if (generation && !HasAttention(*generation)) return *generation;
  throw Error(ErrorKind::kBadState, fmt::format("a pickled state of RWKV-{} is unknown", name));
}

void SetState(StateObject& self, const Pickled& pickled) {
  const auto& [generation, sizes, hash, identity, values, logits] = pickled;
  StateShape s;
  s.generation = GenerationOfPickle(generation);
  constexpr size_t kMost = size_t{1} << 24;
  const bool good = sizes.size() == 4 &&
                    std::all_of(sizes.begin(), sizes.end(), [](size_t n) { return n <= kMost; });
  if (good) {
    s.layers = sizes[0];
    s.width = sizes[1];
    s.heads = sizes[2];
    s.head_size = sizes[3];
  }
  s.model_hash = hash;
  s.identity = identity;
  // The list of layers is made of as many as the file has, so it is bounded first.
  if (!good || s.layers == 0 || s.layers > values.size() ||
      values.size() / s.layers / sizeof(float) != LayerFloats(s) ||
      values.size() != s.floats() * sizeof(float)) {
    throw Error(ErrorKind::kBadState,
                "a pickled state is damaged: its values do not fit its sizes");
  }
  State state(s);
  std::memcpy(state.values().data(), values.c_str(), values.size());
  new (&self) StateObject(std::move(state), FloatsOfPickle(logits));
}

}  // namespace

void AddState(nb::module_& m) {
  nb::class_<StateObject>(
      m, "State",
      "Everything a sequence remembers, a few megabytes of float32. One call at a time may use "
      "it.\n"
      "\n"
      "state[\"wkv\"] is a numpy view of a slot, [layers, ...]; writing to it changes the state:\n"
      "att_shift, ffn_shift [L, C]; wkv [L, H, N keys, N values], or RWKV-4's aa, bb, pp [L, C].")
      .def_static(
          "load", Load, nb::arg("path"), nb::arg("model") = nb::none(),
          "Reads a saved state. With a model it must belong to that model, and may also be\n"
          "a tuned initial state (time_state). Raises FileError or StateError.")
      .def("save", Save, nb::arg("path"), nb::arg("logits") = nb::none(),
           "Writes safetensors, with the logits after the last token, so that a reader can go on\n"
           "without another token: those given, or those that generate and chat left.")
      .def("clone", Clone, "A copy that goes its own way.")
      .def("fork", Clone, "The same as clone.")
      .def("__copy__", Clone)
      .def("__deepcopy__", [](StateObject& self, nb::handle) { return Clone(self); })
      .def("assign", Assign, nb::arg("other"), "Takes over the values of another state.")
      .def(
          "reset",
          [](StateObject& self) {
            const Busy::Use use(self.busy, "the state");
            self.state.Reset();
            self.logits.clear();
          },
          "Goes back to the start of a sequence.")
      .def("diff", Diff, nb::arg("other"),
           "The largest absolute difference of each slot, by layer: {slot: [float per layer]}.")
      .def("to_reference", ToReference,
           "The reference's list (ChatRWKV), as new arrays: per layer att_x, S, ffn_x with S\n"
           "[H, N, N] as [key][value] (v5, v6) or [value][key] (v7); v4: att_x, aa, bb, pp, ffn_x.")
      .def("from_reference", AssignReference, nb::arg("list"),
           "Takes over the values of such a list. Raises StateError naming what does not fit.")
      .def("__getitem__", View, nb::arg("slot"))
      .def("__getstate__", GetState)
      .def("__setstate__", SetState)
      .def("__setstate__", SetRows)
      .def("__repr__",
           [](const StateObject& self) {
             const StateShape& s = self.state.shape();
             return fmt::format("<linnet.State RWKV-{}, {} layers of {}, {} bytes>",
                                Name(s.generation), s.layers, s.width, self.state.bytes());
           })
      .def_prop_ro(
          "tokens", [](const StateObject& self) { return self.state.tokens(); },
          "With attention: the tokens whose rows the state keeps; else 0.")
      .def_prop_ro(
          "nbytes", [](const StateObject& self) { return self.state.bytes(); },
          "Bytes of its values and rows.")
      .def_prop_ro("slots", SlotNames, "The names of the slots.")
      .def_prop_ro("values", Values,
                   "All values as one numpy view, float32: per layer att_shift, wkv, ffn_shift.")
      .def_prop_ro(
          "logits",
          [](const StateObject& self) {
            if (self.logits.empty()) return nb::none();
            NewArray copy({self.logits.size()});
            std::copy(self.logits.begin(), self.logits.end(), copy.values().begin());
            return copy.Release();
          },
          "A copy of the logits after the last token, float32 [V], if generate, chat or load left\n"
          "them; else None.")
      .def_prop_ro(
          "generation",
          [](const StateObject& self) { return std::string(Name(self.state.shape().generation)); })
      .def_prop_ro("layers", [](const StateObject& self) { return self.state.shape().layers; })
      .def_prop_ro("width", [](const StateObject& self) { return self.state.shape().width; })
      .def_prop_ro("heads", [](const StateObject& self) { return self.state.shape().heads; })
      .def_prop_ro("head_size",
                   [](const StateObject& self) { return self.state.shape().head_size; })
      .def_prop_ro(
          "model_hash", [](const StateObject& self) { return self.state.shape().model_hash; },
          "The hash of the model that computed it; empty for states of other programs.")
      .def_prop_rw(
          "identity", [](const StateObject& self) { return self.state.identity(); },
          [](StateObject& self, const std::string& identity) { self.state.set_identity(identity); },
          "The execution identity that computed the whole state; empty if nobody said so.");
}

}  // namespace linnet::python
