#include "cli/embedding.h"

#include "cli/model.h"

namespace linnet::cli {
namespace {

EmbedderOptions OptionsFor(const EmbeddingFlags& flags) {
  EmbedderOptions options;
  options.pooling = ParsePooling(flags.pooling);  // null if it is not given
  options.use = ParseEmbeddingUse(flags.use);
  return options;
}

template <class Values>
std::vector<std::string> NamesOf(const Values& values) {
  std::vector<std::string> names;
  names.reserve(values.size());
  for (const auto value : values) names.emplace_back(Name(value));
  return names;
}

}  // namespace

void AddEmbeddingOptions(CLI::App& command, EmbeddingFlags& flags) {
  command
      .add_option("--pooling", flags.pooling,
                  "Which hidden states make the vector; default: weighted, for EmbeddingRWKV end")
      ->check(CLI::IsMember(NamesOf(kPoolings)));
  command
      .add_option("--use", flags.use,
                  "What vectors of EmbeddingRWKV are for, default retrieval; other models have one "
                  "for all")
      ->check(CLI::IsMember(NamesOf(kEmbeddingUses)));
  command
      .add_option("--pass-rows", flags.rows, "Tokens of all texts in one pass; changes no result")
      ->check(CLI::Range(1, 1 << 20))
      ->type_name("N")
      ->capture_default_str();
}

EmbeddingModel::EmbeddingModel(const CommonOptions& common, const EmbeddingFlags& flags,
                               const std::string& name)
    : model_(OpenModel(common, name)),
      tokenizer_(TokenizerFor(common, model_)),
      workspace_(NewWorkspace(common)),
      embedder_(model_, tokenizer_, OptionsFor(flags)) {}

}  // namespace linnet::cli
