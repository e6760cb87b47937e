// Reranker: the second file of EmbeddingRWKV, which tells from the state after a document and a
// query how well the one answers the other (docs/models.md).
#ifndef LINNET_MODELS_RERANKER_H_
#define LINNET_MODELS_RERANKER_H_

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/model.h"
#include "linnet/state.h"

namespace linnet {

// A few layers of RWKV-7 that take one step, of a token of their own, from states of the embedding
// model. Immutable: calls may overlap if they share no Workspace.
class Reranker {
 public:
  // Opens the file for the states of this embedding model. Throws Error: what Model::Open throws;
  // kBadModel if the file is no reranker, or if its layers, heads or the layers that it reads are
  // not those of the model.
  Reranker(const std::filesystem::path& file, const Model& base, const OpenOptions& options = {});

  // What the embedding model is to read: the document up to the query, whose state does for every
  // query; and the query, before which the document stands. The tokens of both parts are encoded
  // separately, and the end of a text follows.
  static std::string DocumentText(std::string_view document);
  static std::string QueryText(std::string_view query);

  // The logit that the document answers the query, from the embedding model's state after both;
  // its logistic function is a probability. The state does not change. Throws Error kBadInput for
  // a state of another shape.
  double Score(const State& state, Workspace& workspace) const;

  const Model& model() const { return model_; }

 private:
  Model model_;
  StateShape base_;
  std::vector<size_t> layers_;             // of the base, whose states this model's layers take
  std::vector<float> inner_, bias_, out_;  // [C, C], [C], [C]
};

}  // namespace linnet

#endif  // LINNET_MODELS_RERANKER_H_
