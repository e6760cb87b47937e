// Embedder: texts as vectors, the same alone, in any company, and in the server.
#ifndef LINNET_ENGINE_EMBEDDER_H_
#define LINNET_ENGINE_EMBEDDER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/pooling.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "models/embedding_heads.h"

namespace linnet {

struct EmbedderOptions {
  // By default kEnd for EmbeddingRWKV, which has no other, and kWeighted for other models.
  std::optional<Pooling> pooling{};
  std::optional<EmbeddingUse> use{};  // of EmbeddingRWKV's heads, by default kRetrieval
};

// How a model makes a vector of a text. Immutable: any number of threads may use it.
class Embedder {
 public:
  // The model outlives it. Throws Error: kBadInput for an option that the model does not have, or a
  // reranker; kBadModel if its heads are damaged.
  Embedder(const Model& model, std::shared_ptr<const Tokenizer> tokenizer,
           const EmbedderOptions& options = {});

  Pooling pooling() const { return pooling_; }
  size_t width() const { return model_.config().width; }
  const Model& model() const { return model_; }
  // What vectors depend on besides Model::Identity: pooling and head.
  std::string Key() const;

  // The tokens that the model reads; EmbeddingRWKV's end with EndToken, once more or already.
  std::vector<int32_t> TokensOf(std::string_view text) const;
  std::vector<int32_t> Ended(std::vector<int32_t> tokens) const;

  // The vector of a text, of the pooled hidden states [C]: divided by its length.
  std::vector<float> Finish(std::span<const float> pooled) const;
  // The same of another head. Throws Error kBadInput for a head that the model does not have; other
  // models have none and ignore it.
  std::vector<float> Finish(std::span<const float> pooled, EmbeddingUse use) const;

 private:
  const Model& model_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Pooling pooling_;
  EmbeddingUse use_;
  std::optional<EmbeddingHeads> heads_;
};

struct EmbedRun {
  size_t rows = 512;         // tokens of all texts in one pass
  uint64_t state_bytes = 0;  // that states may take; 0: a quarter of the available memory
  // Tokens that were read and that are to be, after each pass; what it throws ends the call.
  std::function<void(size_t done, size_t total)> progress{};
  // The vector of a text. Texts end in any order.
  std::function<void(size_t index, std::vector<float> vector)> found{};
};

// The vectors of texts that TokensOf made; none is empty. Many share a pass. Throws Error kBadInput
// for an id outside the vocabulary, kBadModel if a hidden state is not finite, and what `found`
// throws.
void EmbedTexts(const Embedder& embedder, Workspace& workspace,
                std::span<const std::vector<int32_t>> texts, const EmbedRun& run);

// Several poolings of one reading, for measurements: `found` gets the vectors of each of them, in
// this order. Not for EmbeddingRWKV.
void PoolTexts(const Model& model, Workspace& workspace,
               std::span<const std::vector<int32_t>> texts, std::span<const Pooling> poolings,
               const EmbedRun& run,
               const std::function<void(size_t index, size_t pooling, std::vector<float>)>& found);

}  // namespace linnet

#endif  // LINNET_ENGINE_EMBEDDER_H_
