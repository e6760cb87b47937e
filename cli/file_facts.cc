#include "cli/file_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "cli/matched.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "linnet/state.h"
#include "models/packed.h"
#include "models/schema.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

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
  if (config.purpose != Purpose::kText) facts.purpose = Name(config.purpose);
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

}  // namespace

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

namespace {

template <class T>
ordered_json OrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json(nullptr);
}

}  // namespace

std::string ToJson(const Checkpoint& c, const Facts& facts) {
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
  if (facts.purpose) result["purpose"] = *facts.purpose;
  if (!c.matched().empty()) result["matched"] = MatchedJson(c);
  if (facts.tokens) result["tokens"] = *facts.tokens;
  if (!facts.identity.empty()) result["identity"] = facts.identity;
  if (facts.vocabulary > 0) result["vocabulary_bytes"] = facts.vocabulary;
  return result.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

}  // namespace linnet::cli
