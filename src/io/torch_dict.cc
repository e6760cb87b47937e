#include "io/torch_dict.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/is_utf8.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

using Kind = PickleValue::Kind;

// Keys under which trainers store the state dict.
constexpr std::string_view kWrappers[] = {"state_dict", "model_state_dict", "model", "module",
                                          "weights"};

const char* Describe(Kind kind) {
  switch (kind) {
    case Kind::kTensor:
      return "a single tensor";
    case Kind::kTuple:
      return "a tuple";
    case Kind::kList:
      return "a list";
    case Kind::kString:
      return "a string";
    default:
      return "a plain value";
  }
}

const PickleValue* Lookup(const Pickle& pickle, const PickleValue& dict, std::string_view key) {
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const auto& name = pickle.values[dict.items[i]];
    if (name.kind == Kind::kString && name.text == key) return &pickle.values[dict.items[i + 1]];
  }
  return nullptr;
}

size_t CountTensors(const Pickle& pickle, const PickleValue& dict) {
  size_t count = 0;
  for (size_t i = 1; i < dict.items.size(); i += 2) {
    count += pickle.values[dict.items[i]].kind == Kind::kTensor ? 1 : 0;
  }
  return count;
}

// The dict with the tensors: the root or one below it.
const PickleValue& FindDict(const Pickle& pickle, const PickleValue& root, const Error& refusal) {
  if (CountTensors(pickle, root) != 0) return root;
  for (const auto wrapper : kWrappers) {
    const PickleValue* inner = Lookup(pickle, root, wrapper);
    if (inner != nullptr && inner->kind == Kind::kDict && CountTensors(pickle, *inner) != 0) {
      return *inner;
    }
  }
  throw refusal;
}

Error Refusal(const Pickle& pickle, const PickleValue& root, const std::string& file) {
  const bool optimizer = Lookup(pickle, root, "param_groups") != nullptr ||
                         Lookup(pickle, root, "optimizer") != nullptr ||
                         Lookup(pickle, root, "optimizer_state_dict") != nullptr;
  if (optimizer) {
    return Error(ErrorKind::kBadModel,
                 fmt::format("{}: an optimizer's state, expected a model's weights; it lies beside "
                             "them in the training folder",
                             file));
  }
  return Error(ErrorKind::kBadModel,
               fmt::format("{}: a dict of {} entries without any tensor, expected a model's "
                           "state dict",
                           file, root.items.size() / 2));
}

// A state saved by ChatRWKV, with the names that the reference's list has in safetensors.
std::vector<NamedTensor> ListOf(const Pickle& pickle, const PickleValue& list) {
  std::vector<NamedTensor> tensors;
  for (const PickleId id : list.items) {
    const PickleValue& value = pickle.values[id];
    if (value.kind != Kind::kTensor) return {};
    tensors.push_back({fmt::format("state.{:03}", tensors.size()),
                       &pickle.tensors[static_cast<size_t>(value.integer)]});
  }
  return tensors;
}

}  // namespace

std::map<std::string, std::string> RerankerMetadata(const Pickle& pickle, const std::string& file) {
  const PickleValue& root = pickle.values[pickle.root];
  const PickleValue* list =
      root.kind == Kind::kDict ? Lookup(pickle, root, kRerankerLayers) : nullptr;
  if (list == nullptr || list->kind == Kind::kTensor || list->kind == Kind::kNone) return {};
  const bool is_list = list->kind == Kind::kList || list->kind == Kind::kTuple;
  std::string text;
  for (const PickleId id : list->items) {
    const PickleValue& item = pickle.values[id];
    if (!is_list || item.kind != Kind::kInt) {
      text.clear();
      break;
    }
    text += fmt::format("{}{}", text.empty() ? "" : ",", item.integer);
  }
  if (text.empty()) {
    throw Error(ErrorKind::kBadModel, fmt::format("{}: {} is no list of layers, expected integers",
                                                  file, kRerankerLayers));
  }
  return {{kRerankerLayers, text}};
}

std::vector<NamedTensor> TensorsOf(const Pickle& pickle, const std::string& file) {
  const PickleValue& root = pickle.values[pickle.root];
  if (root.kind == Kind::kList) {
    auto tensors = ListOf(pickle, root);
    if (!tensors.empty()) return tensors;
  }
  if (root.kind != Kind::kDict) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: holds {}, expected a model's state dict (names and tensors)", file,
                            Describe(root.kind)));
  }
  if (Lookup(pickle, root, "_strategy") != nullptr) {
    throw Error(ErrorKind::kBadModel,
                fmt::format("{}: converted by ChatRWKV for one strategy, its matrices changed; use "
                            "the released .pth it was made from",
                            file));
  }
  const PickleValue& dict = FindDict(pickle, root, Refusal(pickle, root, file));
  std::vector<NamedTensor> tensors;
  for (size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const auto& key = pickle.values[dict.items[i]];
    const auto& value = pickle.values[dict.items[i + 1]];
    if (value.kind != Kind::kTensor) continue;
    if (key.kind != Kind::kString || !IsUtf8(key.text)) {
      throw Error(ErrorKind::kBadModel,
                  fmt::format("{}: a tensor whose name is not a string of UTF-8, expected a "
                              "model's state dict",
                              file));
    }
    tensors.push_back({std::string(key.text), &pickle.tensors[static_cast<size_t>(value.integer)]});
  }
  return tensors;
}

}  // namespace linnet
