// linnet inspect: identifies a file by the names and shapes of its tensors.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/cli.h"
#include "cli/file_facts.h"
#include "cli/matched.h"
#include "cli/model.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/names.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet::cli {
namespace {

struct InspectFlags {
  CommonOptions common;
  std::string file;
  bool identity = false;
};

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
  if (facts.purpose) row("purpose", *facts.purpose);
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
    Print(ToJson(checkpoint, facts) + "\n");
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
