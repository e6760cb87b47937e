// linnet state: shows, compares, exports and imports saved states.
#include "linnet/state.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/output_file.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/hash.h"
#include "models/names.h"
#include "models/schema.h"
#include "models/state_layouts.h"
#include "models/state_parts.h"
#include "tensor/token_memory.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

struct StateFlags {
  CommonOptions common;
  std::string file, other, layout, model, out;
};

// A state, and whether its file contains only S.
struct Opened {
  State state;
  bool tuned = false;
};

// The shape of a model's states, without loading its weights.
StateShape ShapeOf(const std::string& model) {
  const Checkpoint checkpoint = CheckpointNamed(model);
  StateShape shape = StateShapeOf(ConfigOf(checkpoint));
  shape.model_hash = HashOf(checkpoint);
  return shape;
}

// A tuned state does not name its generation: S has the same form in all generations that have it.
StateShape TunedShape(const Checkpoint& c) {
  StateShape s;
  while (c.Has(TimeStateName(s.layers))) ++s.layers;
  const TensorView* t = c.Find("blocks.0.att.time_state");
  if (t == nullptr || t->shape.size() != 3 || t->elements() == 0) {
    throw Error(ErrorKind::kBadState, c.file().path().string() +
                                          ": blocks.0.att.time_state is missing or not [heads, "
                                          "size, size]");
  }
  s.heads = t->shape[0];
  s.head_size = t->shape[1];
  s.width = s.heads * s.head_size;
  return s;
}

// From --model if given, otherwise from the file.
Opened Open(const std::string& file, const std::string& model) {
  const Checkpoint checkpoint(file);
  const bool tuned = KindOf(checkpoint) == FileKind::kTimeState;
  if (!model.empty()) return {State::Load(file, ShapeOf(model)), tuned};
  if (tuned) return {State::Load(file, TunedShape(checkpoint)), true};
  return {State::Load(file), false};
}

void PrintLine(const ordered_json& result) {
  Print(result.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

double Norm(std::span<const float> values) {
  double sum = 0;
  for (const float x : values) sum += double{x} * x;
  return std::sqrt(sum);
}

// What a token costs: bytes in the file, and in memory in each RowStorage.
void AddTokens(const State& state, ordered_json& result) {
  const TokenMemory& kept = state.past()->kept;
  ordered_json costs = {{"file", kept.layout()->token_bytes()}};
  for (const auto& [name, rows] :
       {std::pair{"f16", RowStorage::kF16}, std::pair{"f32", RowStorage::kF32},
        std::pair{"compact", RowStorage::kCompact}}) {
    StateShape shape = state.shape();
    shape.rows = rows;
    costs[name] = shape.token_bytes();
  }
  ordered_json memory;
  for (const auto& [name, bytes] : costs.items()) {
    if (name == "file") continue;
    memory[name] = state.values().size_bytes() + state.tokens() * bytes.get<size_t>();
  }
  ordered_json rows = ordered_json::array();
  const auto strides = StridesOf(state.shape());
  for (size_t i = 1, layer = 0; i < kept.layout()->slots().size(); ++i) {
    while (layer + 1 < strides.size() && strides[layer + 1].kept <= i) ++layer;
    const RowSlot& slot = kept.layout()->slots()[i];
    rows.push_back({{"layer", layer}, {"name", slot.name}, {"width", slot.width}});
  }
  result["tokens"] = state.tokens();
  result["token_bytes"] = costs;
  result["memory_bytes"] = memory;
  result["rows"] = rows;
}

// "f16 24968, f32 49544".
std::string Counts(const ordered_json& counts) {
  std::string text;
  for (const auto& [name, value] : counts.items()) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value.dump());
  }
  return text;
}

// "key_low [24, 32], value_low [24, 32] in 3 layers".
std::string RowsText(const ordered_json& rows, size_t tokens) {
  std::map<std::pair<std::string, size_t>, size_t> layers;
  for (const ordered_json& row : rows) ++layers[{row["name"], row["width"]}];
  std::string text;
  for (const auto& [row, count] : layers) {
    text += fmt::format("{}{} [{}, {}] in {} layer{}", text.empty() ? "" : ", ", row.first, tokens,
                        row.second, count, count == 1 ? "" : "s");
  }
  return text;
}

void Info(const StateFlags& o) {
  const Opened opened = Open(o.file, "");
  const StateShape& s = opened.state.shape();
  ordered_json norms = ordered_json::array();
  for (size_t layer = 0; layer < s.layers; ++layer) {
    ordered_json row;
    for (const StatePart& part :
         StateParts(opened.state, layer, opened.state.tokens(), opened.tuned)) {
      row[part.name] = Norm(part.values);
    }
    norms.push_back(row);
  }
  size_t floats = s.floats();
  if (opened.tuned) floats -= 2 * s.width * s.layers;
  const auto known = [&](const std::string& text) {
    return opened.tuned || text.empty() ? ordered_json(nullptr) : ordered_json(text);
  };
  ordered_json result = {{"kind", opened.tuned ? "time_state" : "state"},
                         {"generation", known(Name(s.generation))},
                         {"layers", s.layers},
                         {"width", s.width},
                         {"heads", s.heads},
                         {"head_size", s.head_size},
                         {"floats", floats},
                         {"bytes", std::filesystem::file_size(o.file)},
                         {"model_hash", known(s.model_hash)},
                         {"identity", known(s.identity)},
                         {"norms", norms}};
  if (opened.state.past() != nullptr && !opened.tuned) AddTokens(opened.state, result);
  if (o.common.json) return PrintLine(result);
  for (const auto& [key, value] : result.items()) {
    if (key == "norms" || value.is_null()) continue;
    const std::string text = value.is_string()   ? value.get<std::string>()
                             : value.is_object() ? Counts(value)
                             : value.is_array()  ? RowsText(value, opened.state.tokens())
                                                 : value.dump();
    Print(fmt::format("{:<12} {}\n", key, text));
  }
  Print("\nlength of each component, by layer\n");
  for (size_t layer = 0; layer < s.layers; ++layer) {
    Print(fmt::format("{:>5}", layer));
    for (const auto& [name, norm] : norms[layer].items()) {
      Print(fmt::format("  {} {:<12.6g}", name, norm.get<double>()));
    }
    Print("\n");
  }
}

void CheckSameSizes(const StateFlags& o, const Opened& a, const Opened& b) {
  const StateShape &x = a.state.shape(), &y = b.state.shape();
  const auto describe = [](const Opened& opened) {
    const StateShape& s = opened.state.shape();
    return fmt::format("{} with {} layers, width {}, {} heads",
                       opened.tuned ? "a tuned state" : fmt::format("RWKV-{}", Name(s.generation)),
                       s.layers, s.width, s.heads);
  };
  if (a.tuned == b.tuned && (a.tuned || x.generation == y.generation) && x.layers == y.layers &&
      x.width == y.width && x.heads == y.heads && x.head_size == y.head_size) {
    return;
  }
  throw Error(ErrorKind::kBadState,
              fmt::format("{}: {}, but {} is {}", o.other, describe(b), o.file, describe(a)));
}

// How many tokens each keeps rows of, and what of them is the same.
void AddTokens(const State& a, const State& b, ordered_json& result) {
  if (a.past() == nullptr || b.past() == nullptr) return;
  result["tokens"] = {a.tokens(), b.tokens()};
  result["same_tokens"] = SameTokens(a, b);
}

std::string TokensText(const ordered_json& result) {
  const size_t a = result["tokens"][0], b = result["tokens"][1], same = result["same_tokens"];
  std::string text = a == b ? fmt::format("{} tokens in both", a)
                            : fmt::format("{} and {} tokens; rows are compared of the first {}", a,
                                          b, std::min(a, b));
  if (same < std::min(a, b)) text += fmt::format("; token {} is another one", same);
  return text;
}

void Diff(const StateFlags& o) {
  const Opened a = Open(o.file, ""), b = Open(o.other, "");
  CheckSameSizes(o, a, b);
  const StateDifference found = Compare(a.state, b.state, a.tuned);
  const double absolute = found.largest.absolute, relative = found.largest.relative;
  ordered_json layers = ordered_json::array();
  for (const auto& parts : found.layers) {
    ordered_json row;
    for (const auto& [name, d] : parts) {
      row[name] = {{"absolute", d.absolute}, {"relative", d.relative}};
    }
    layers.push_back(row);
  }
  ordered_json result = {{"absolute", absolute}, {"relative", relative}, {"layers", layers}};
  if (!a.tuned) AddTokens(a.state, b.state, result);
  if (o.common.json) return PrintLine(result);
  if (result.contains("tokens")) Print(TokensText(result) + "\n");
  Print("largest difference of each component, by layer, and its share of the largest entry\n");
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    Print(fmt::format("{:>5}", layer));
    for (const auto& [name, d] : layers[layer].items()) {
      Print(fmt::format("  {} {:.3g} ({:.2g})", name, d["absolute"].get<double>(),
                        d["relative"].get<double>()));
    }
    Print("\n");
  }
  Print(fmt::format("  all  {:.3g} ({:.2g})\n", absolute, relative));
}

void Report(const CommonOptions& common, const std::string& out, const StateShape& s,
            const std::string& layout) {
  const auto bytes = std::filesystem::file_size(out);
  Say(fmt::format("{}: RWKV-{}, {} layers, width {}, {} bytes\n", out, Name(s.generation), s.layers,
                  s.width, bytes));
  if (!common.json) return;
  PrintLine({{"path", out},
             {"layout", layout},
             {"generation", Name(s.generation)},
             {"layers", s.layers},
             {"width", s.width},
             {"heads", s.heads},
             {"head_size", s.head_size},
             {"bytes", bytes}});
}

// A state in any program's layout; where that is raw values, known by their number alone, of these
// sizes.
OutputKind AnyState(const StateShape& shape) {
  return {"a state", [shape](const std::filesystem::path& path) {
            try {
              const Checkpoint file(path);
              const FileKind kind = KindOf(file);
              const bool one = file.tensors().size() == 1 && file.tensors()[0].name == "state";
              return kind == FileKind::kState || kind == FileKind::kTimeState || one;
            } catch (const Error&) {
              ImportState(path, StateLayout::kRwkvCpp, shape);
              return true;
            }
          }};
}

void Export(const StateFlags& o) {
  const StateLayout layout = *ParseStateLayout(o.layout);
  const Opened opened = Open(o.file, o.model);
  // A tuned state contains only S; only one of the layouts stores S alone.
  if (opened.tuned && o.model.empty() && !IsTuned(layout)) {
    throw Error(ErrorKind::kBadState,
                fmt::format("{}: a tuned state, which names no generation; pass --model", o.file));
  }
  CheckOutput(o.common, {o.out, AnyState(opened.state.shape())});
  ExportState(opened.state, layout, o.out);
  Report(o.common, o.out, opened.state.shape(), o.layout);
}

void Import(const StateFlags& o) {
  CheckOutput(o.common, {o.out, StateOutput()});
  const State state = ImportState(o.file, *ParseStateLayout(o.layout), ShapeOf(o.model));
  state.Save(o.out);
  Report(o.common, o.out, state.shape(), o.layout);
}

void AddLayout(CLI::App* command, StateFlags& o) {
  command
      ->add_option("--layout", o.layout,
                   "The other program's: reference (ChatRWKV's list), rwkv.cpp (raw f32), web-rwkv "
                   "(one tensor), time_state (S only), rwkv-runner (the same as .pth)")
      ->check(CLI::IsMember({"reference", "rwkv.cpp", "web-rwkv", "time_state", "rwkv-runner"}))
      ->required();
}

}  // namespace

void AddState(CLI::App& app) {
  const auto o = std::make_shared<StateFlags>();
  CLI::App* command = AddCommand(
      app, "state", "Show, compare, export and import saved states", "linnet state info chat.state",
      o->common, [] {}, 0);
  command->require_subcommand(1);

  CLI::App* info = AddCommand(
      *command, "info", "Show the contents of a state file", "linnet state info chat.state --json",
      o->common, [o] { Info(*o); }, kJson);
  info->add_option("FILE", o->file, "A saved or tuned state")->required();

  CLI::App* diff = AddCommand(
      *command, "diff", "Show the largest difference between two states, by layer and component",
      "linnet state diff a.state b.state", o->common, [o] { Diff(*o); }, kJson);
  diff->add_option("A", o->file, "A saved or tuned state")->required();
  diff->add_option("B", o->other, "Another of the same sizes")->required();

  CLI::App* to = AddCommand(
      *command, "export", "Write a state in another program's layout",
      "linnet state export chat.state --layout rwkv.cpp chat.bin", o->common, [o] { Export(*o); },
      kJson);
  to->add_option("FILE", o->file, "A saved or tuned state")->required();
  AddOutput(*to, o->common, "OUT", o->out, "The file to write")->required();
  AddLayout(to, *o);
  to->add_option("--model", o->model, "The model of a tuned state, for its generation");

  CLI::App* from = AddCommand(
      *command, "import", "Read a state in another program's layout",
      "linnet state import chat.bin --layout rwkv.cpp --model model.pth chat.state", o->common,
      [o] { Import(*o); }, kJson);
  from->add_option("FILE", o->file, "A state of another program")->required();
  AddOutput(*from, o->common, "OUT", o->out, "The state to write")->required();
  AddLayout(from, *o);
  from->add_option("--model", o->model, "The model it belongs to, for its sizes")->required();
}

}  // namespace linnet::cli
