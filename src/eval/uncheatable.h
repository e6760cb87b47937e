// Uncheatable Eval: how well a model compresses texts that are newer than it.
#ifndef LINNET_EVAL_UNCHEATABLE_H_
#define LINNET_EVAL_UNCHEATABLE_H_

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "eval/evaluation.h"

namespace linnet {

// Chunks of this many tokens start from an empty state, and their first token is not scored
// (Jellyfish042/uncheatable_eval); chunks of one token are left out.
inline constexpr size_t kUncheatableChunk = 1024;

// Of the documents of one file.
struct CompressionScore {
  double nats = 0;                                              // of all scored tokens
  size_t documents = 0, tokens = 0, bytes = 0, characters = 0;  // tokens and bytes: also unscored

  // The share of the bytes that is left, per cent: bits per byte / 8 · 100.
  double compression_rate() const;
  double bits_per_byte() const;
};

// The documents of a file: a JSON list of texts, or rows with a `text` (ReadRowFile). Throws Error.
std::vector<std::string> ReadDocuments(const std::filesystem::path& path);

// Uses `journal`, `scoring`, `progress` and the processes of the options; the score does not depend
// on any of them.
CompressionScore ScoreCompression(const Model& model, const Tokenizer& tokenizer,
                                  Workspace& workspace, std::span<const std::string> documents,
                                  const EvaluationOptions& options);

}  // namespace linnet

#endif  // LINNET_EVAL_UNCHEATABLE_H_
