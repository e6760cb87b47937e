// Shared by the commands that make vectors of texts: their options, and the model.
#ifndef LINNET_CLI_EMBEDDING_H_
#define LINNET_CLI_EMBEDDING_H_

#include <memory>
#include <string>

#include "cli/cli.h"
#include "engine/embedder.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet::cli {

struct EmbeddingFlags {
  std::string pooling, use;
  size_t rows = 512;
};

// --pooling, --use and --pass-rows.
void AddEmbeddingOptions(CLI::App& command, EmbeddingFlags& flags);

// A model that makes vectors. The members depend on those before them; it does not move.
class EmbeddingModel {
 public:
  // Opens the model, "" for the built-in one. Throws what OpenModel, TokenizerFor and Embedder
  // throw.
  EmbeddingModel(const CommonOptions& common, const EmbeddingFlags& flags, const std::string& name);
  EmbeddingModel(const EmbeddingModel&) = delete;
  EmbeddingModel& operator=(const EmbeddingModel&) = delete;

  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  Workspace& workspace() { return workspace_; }
  const Embedder& embedder() const { return embedder_; }

 private:
  const Model model_;
  const std::shared_ptr<const Tokenizer> tokenizer_;
  Workspace workspace_;
  const Embedder embedder_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_EMBEDDING_H_
