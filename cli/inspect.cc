// linnet inspect: identifies a file by the names and shapes of its tensors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/matched.h"
#include "cli/model.h"
#include "linnet/error.h"
#include "linnet/state.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

struct InspectFlags {
  CommonOptions common;
  std::string file;
  bool identity = false;
};

// Facts that a kind of file does not have stay empty, and are null in JSON.
struct Facts {
  FileKind kind = FileKind::kUnknown;
  std::optional<std::string> generation;
  std::optional<size_t> layers, width, heads, head_size, ffn, vocab, experts;
  std::map<std::string, size_t> ranks;
  size_t vocabulary = 0;         // bytes of the vocabulary in the file; 0: none
  std::optional<size_t> tokens;  // of which a state keeps rows
  uint64_t parameters = 0;
  std::map<std::string, uint64_t> dtypes;  // number of parameters of each
  std::string identity;                    // if asked for
};

// The highest N of "blocks.N.…", plus one.
size_t CountLayers(const Checkpoint& c) {
  size_t layers = 0;
  for (const TensorView& t : c.tensors()) {
    const auto place = SplitBlockName(t.name);
    if (place && place->layer < SIZE_MAX) layers = std::max(layers, place->layer + 1);
  }
  return layers;
}

void AddModel(const Checkpoint& c, Facts& facts) {
  const Config config = ConfigOf(c);
  facts.generation = Name(config.generation);
  facts.layers = config.layers;
  facts.width = config.width;
  facts.heads = config.heads;
  facts.head_size = config.head_size;
  facts.ffn = config.ffn;
  facts.vocab = config.vocab;
  facts.ranks = config.ranks;
  if (config.experts != 0) facts.experts = config.experts;
}

// The rank of a LoRA pair is the first dimension of lora_A; for Bone and DiSHA also the first.
void AddAdapter(const Checkpoint& c, Facts& facts) {
  RefuseForeignAdapter(c);
  facts.layers = CountLayers(c);
  for (const TensorView& t : c.tensors()) {
    for (const auto& [ending, name] :
         {std::pair{".lora_A", "lora"}, std::pair{".bone", "bone"}, std::pair{".disha", "disha"}}) {
      const size_t at = t.name.rfind(ending);
      if (at == std::string::npos || at + std::string_view(ending).size() != t.name.size())
        continue;
      if (!t.shape.empty()) facts.ranks[name] = std::max(facts.ranks[name], t.shape[0]);
    }
  }
}

void AddTimeState(const Checkpoint& c, Facts& facts) {
  facts.layers = CountLayers(c);
  const TensorView* t = c.Find("blocks.0.att.time_state");
  if (t == nullptr || t->shape.size() != 3) return;
  facts.heads = t->shape[0];
  facts.head_size = t->shape[1];
  facts.width = t->shape[0] * t->shape[1];
}

void AddState(const std::string& file, Facts& facts) {
  const State state = State::Load(file);
  facts.generation = Name(state.shape().generation);
  facts.layers = state.shape().layers;
  facts.width = state.shape().width;
  facts.heads = state.shape().heads;
  facts.head_size = state.shape().head_size;
  if (state.past() != nullptr) facts.tokens = state.tokens();
}

Facts FactsOf(const Checkpoint& c, const std::string& file) {
  Facts facts;
  facts.kind = KindOf(c);
  switch (facts.kind) {
    case FileKind::kModel:
      AddModel(c, facts);
      break;
    case FileKind::kAdapter:
      AddAdapter(c, facts);
      break;
    case FileKind::kTimeState:
      AddTimeState(c, facts);
      break;
    case FileKind::kState:
      AddState(file, facts);
      break;
    case FileKind::kUnknown:
      ConfigOf(c);  // throws an error that says what the file is
      throw Error(ErrorKind::kBadModel, file + ": head.weight is missing: the file is incomplete");
  }
  facts.vocabulary = c.Vocabulary().size();
  for (const TensorView& t : c.tensors()) {
    if (t.name.starts_with(kTrainingPrefix)) continue;
    // The logits in a saved state file are not part of the state.
    if (facts.kind == FileKind::kState && !t.name.starts_with("state.")) continue;
    facts.parameters += t.elements();
    facts.dtypes[TypeName(t)] += t.elements();
  }
  return facts;
}

template <class T>
ordered_json OrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

void PrintJson(const Checkpoint& c, const Facts& facts) {
  ordered_json tensors = ordered_json::array();
  for (const TensorView& t : c.tensors()) {
    tensors.push_back({{"name", t.name}, {"dtype", TypeName(t)}, {"shape", t.shape}});
  }
  ordered_json result = {{"kind", Name(facts.kind)},       {"generation", OrNull(facts.generation)},
                         {"layers", OrNull(facts.layers)}, {"width", OrNull(facts.width)},
                         {"heads", OrNull(facts.heads)},   {"head_size", OrNull(facts.head_size)},
                         {"ffn", OrNull(facts.ffn)},       {"vocab", OrNull(facts.vocab)},
                         {"ranks", facts.ranks},           {"parameters", facts.parameters},
                         {"dtypes", facts.dtypes},         {"tensors", std::move(tensors)}};
  if (facts.experts) result["experts"] = *facts.experts;
  if (!c.matched().empty()) result["matched"] = MatchedJson(c);
  if (facts.tokens) result["tokens"] = *facts.tokens;
  if (!facts.identity.empty()) result["identity"] = facts.identity;
  if (facts.vocabulary > 0) result["vocabulary_bytes"] = facts.vocabulary;
  Print(result.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

// Equal tensors of several layers share a line: blocks.{0-2,4}.att.key.weight.
struct TensorLine {
  std::string before, after, type, shape;
  std::vector<size_t> layers;  // empty: the name is `before`

  std::string name() const {
    if (layers.empty()) return before;
    if (layers.size() == 1) return fmt::format("{}{}{}", before, layers[0], after);
    std::vector<std::string> runs;
    for (size_t i = 0; i < layers.size();) {
      size_t end = i;
      while (end + 1 < layers.size() && layers[end + 1] == layers[end] + 1) ++end;
      runs.push_back(i == end ? std::to_string(layers[i])
                              : fmt::format("{}-{}", layers[i], layers[end]));
      i = end + 1;
    }
    return fmt::format("{}{{{}}}{}", before, fmt::join(runs, ","), after);
  }
};

std::vector<TensorLine> Lines(const Checkpoint& c) {
  constexpr std::string_view kPrefix = "blocks.";
  std::vector<TensorLine> lines;
  std::map<std::string, size_t> places;
  for (const TensorView& t : c.tensors()) {
    TensorLine line{t.name, "", TypeName(t), fmt::format("[{}]", fmt::join(t.shape, ", ")), {}};
    if (const auto place = SplitBlockName(t.name)) {
      line.before = kPrefix;
      line.after = "." + std::string(place->rest);
      line.layers = {place->layer};
    }
    const std::string key = line.before + line.after + " " + line.type + line.shape;
    const auto [it, fresh] = places.emplace(key, lines.size());
    if (fresh || line.layers.empty()) {
      lines.push_back(std::move(line));
    } else {
      lines[it->second].layers.push_back(line.layers[0]);
    }
  }
  for (TensorLine& line : lines) std::sort(line.layers.begin(), line.layers.end());
  return lines;
}

void PrintTable(const Checkpoint& c, const Facts& facts) {
  const auto row = [](const char* name, const std::string& value) {
    Print(fmt::format("{:<12}{}\n", name, value));
  };
  const auto number = [&](const char* name, const std::optional<size_t>& value) {
    if (value) row(name, std::to_string(*value));
  };
  row("kind", Name(facts.kind));
  if (facts.generation) row("generation", "RWKV-" + *facts.generation);
  row("names", Name(c.naming()));
  number("layers", facts.layers);
  number("width", facts.width);
  number("heads", facts.heads);
  number("head size", facts.head_size);
  number("ffn", facts.ffn);
  number("vocab", facts.vocab);
  number("experts", facts.experts);
  if (!c.matched().empty()) row("matched", MatchedText(c));
  number("tokens", facts.tokens);
  if (facts.vocabulary != 0) {
    row("vocabulary", fmt::format("in the file, {} bytes of text", facts.vocabulary));
  }
  std::vector<std::string> ranks, dtypes;
  for (const auto& [name, rank] : facts.ranks) ranks.push_back(fmt::format("{} {}", name, rank));
  for (const auto& [type, count] : facts.dtypes) {
    dtypes.push_back(fmt::format("{} ({})", type, count));
  }
  if (!ranks.empty()) row("ranks", fmt::format("{}", fmt::join(ranks, ", ")));
  row("parameters", std::to_string(facts.parameters));
  row("dtypes", fmt::format("{}", fmt::join(dtypes, ", ")));
  if (!facts.identity.empty()) row("identity", facts.identity);
  const auto lines = Lines(c);
  size_t width = 0;
  for (const TensorLine& line : lines) width = std::max(width, line.name().size());
  Print("\n");
  for (const TensorLine& line : lines) {
    Print(fmt::format("{:<{}}  {:<5} {}\n", line.name(), width, line.type, line.shape));
  }
}

void RunInspect(const InspectFlags& o) {
  const Checkpoint checkpoint = CheckpointNamed(o.file);
  Facts facts = FactsOf(checkpoint, o.file);
  if (o.identity) facts.identity = IdentityFor(o.common, checkpoint);
  if (o.common.json) {
    PrintJson(checkpoint, facts);
  } else {
    PrintTable(checkpoint, facts);
  }
}

}  // namespace

void AddInspect(CLI::App& app) {
  const auto o = std::make_shared<InspectFlags>();
  CLI::App* command = AddCommand(
      app, "inspect", "Show the contents of a checkpoint, adapter or state",
      "linnet inspect model.pth --json", o->common, [o] { RunInspect(*o); },
      kJson | kThreads | kExact | kIsa | kVocab | kQuant);
  command
      ->add_option("FILE", o->file,
                   "A checkpoint, adapter or state, a folder of shards or of a run, or `builtin`")
      ->required();
  command->add_flag("--identity", o->identity,
                    "Also the identity of what runs with these options: equal ones give equal "
                    "results, bit by bit. Reads the whole file; its digest is kept in "
                    "~/.cache/linnet");
  AddAdapterOption(*command, o->common);
}

}  // namespace linnet::cli
