#include "models/reranker.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "io/torch_dict.h"
#include "kernels/rows.h"
#include "linnet/error.h"
#include "models/head_tensors.h"
#include "models/model_of.h"
#include "models/schema.h"

namespace linnet {
namespace {

[[noreturn]] void RefuseReranker(const Model& model, const std::string& what) {
  throw Error(ErrorKind::kBadModel, model.path().string() + ": " + what);
}

// "2,5,8".
std::vector<size_t> ParseLayers(const Model& model, const std::string& text) {
  std::vector<size_t> layers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    size_t layer = 0;
    const auto [next, error] = std::from_chars(at, end, layer);
    if (error != std::errc()) break;
    layers.push_back(layer);
    if (next == end) return layers;
    if (*next != ',') break;
    at = next + 1;
  }
  RefuseReranker(model, fmt::format("{} is {}, expected numbers of layers", kRerankerLayers, text));
}

// Of the base. Each is one of its `count` layers.
std::vector<size_t> LayersOf(const Model& model, size_t count) {
  const Checkpoint& c = CheckpointOf(model);
  const size_t own = model.config().layers;
  std::vector<size_t> layers(own);
  std::iota(layers.begin(), layers.end(), size_t{0});
  const auto listed = c.file().metadata().find(kRerankerLayers);
  if (listed != c.file().metadata().end()) {
    layers = ParseLayers(model, listed->second);
  } else if (const TensorView* t = c.Find(kRerankerLayers)) {
    layers.clear();
    if (IsFloat(t->type) || t->elements() != own) {
      RefuseReranker(model, fmt::format("{} has {} values, expected {} integers", kRerankerLayers,
                                        t->elements(), own));
    }
    for (const int64_t layer : ReadInts(*t)) layers.push_back(static_cast<size_t>(layer));
  }
  if (layers.size() != own) {
    RefuseReranker(model,
                   fmt::format("has {} layers and reads the states of {}", own, layers.size()));
  }
  for (const size_t layer : layers) {
    if (layer < count) continue;
    RefuseReranker(model,
                   fmt::format("reads the state of layer {}, and the embedding model has {} layers",
                               layer, count));
  }
  return layers;
}

}  // namespace

Reranker::Reranker(const std::filesystem::path& file, const Model& base, const OpenOptions& options)
    : model_(Model::Open(file, options)), base_(base.state_shape()) {
  const Config& c = model_.config();
  if (c.purpose != Purpose::kReranker) {
    RefuseReranker(model_, fmt::format("is a model for {}, expected a reranker of EmbeddingRWKV",
                                       Name(c.purpose)));
  }
  if (base.config().purpose != Purpose::kEmbedding) {
    RefuseReranker(model_, fmt::format("goes with an embedding model of EmbeddingRWKV, not with {}",
                                       base.path().string()));
  }
  if (c.heads != base_.heads || c.head_size != base_.head_size ||
      c.generation != base_.generation) {
    RefuseReranker(model_,
                   fmt::format("is RWKV-{} with {} heads of {}, expected those of {}: RWKV-{}, {} "
                               "heads of {}",
                               Name(c.generation), c.heads, c.head_size, base.path().string(),
                               Name(base_.generation), base_.heads, base_.head_size));
  }
  layers_ = LayersOf(model_, base_.layers);
  const Checkpoint& tensors = CheckpointOf(model_);
  inner_ = HeadTensor(tensors, "head.0.weight", {c.width, c.width});
  bias_ = HeadTensor(tensors, "head.0.bias", {c.width});
  out_ = HeadTensor(tensors, "head.2.weight", {1, c.width});
}

std::string Reranker::DocumentText(std::string_view document) {
  return fmt::format(
      "Instruct: Given a query, retrieve documents that answer the query\nDocument: {}\n",
      document);
}

std::string Reranker::QueryText(std::string_view query) { return fmt::format("Query: {}", query); }

double Reranker::Score(const State& state, Workspace& workspace) const {
  if (state.values().size() != base_.floats()) {
    throw Error(ErrorKind::kBadInput,
                model_.path().string() + ": a state is not of its embedding model's shape");
  }
  const auto from = StridesOf(base_), to = StridesOf(model_.state_shape());
  State own = model_.NewState();
  for (size_t layer = 0; layer < layers_.size(); ++layer) {
    const LayerStrides& source = from[layers_[layer]];
    const LayerStrides& target = to[layer];
    std::copy_n(state.values().data() + source.begin + source.att_shift, source.wkv,
                own.values().data() + target.begin + target.att_shift);
  }
  const size_t width = model_.config().width;
  std::vector<double> hidden(width);
  const int32_t token = 0;
  model_.Forward({.tokens = {&token, 1}, .state = &own, .logits = {}, .hidden_sum = hidden},
                 workspace);
  const std::vector<float> x(hidden.begin(), hidden.end());
  double logit = 0;
  for (size_t i = 0; i < width; ++i) {
    const double inner = double{Dot(&inner_[i * width], x.data(), width)} + double{bias_[i]};
    logit += std::tanh(inner) * double{out_[i]};
  }
  return logit;
}

}  // namespace linnet
