// EmbeddingHeads: what EmbeddingRWKV adds to RWKV-7: from the hidden state of a text to its vector,
// one head for each use (docs/models.md).
#ifndef LINNET_MODELS_EMBEDDING_HEADS_H_
#define LINNET_MODELS_EMBEDDING_HEADS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "linnet/model.h"

namespace linnet {

// What a vector is for.
enum class EmbeddingUse : uint8_t { kRetrieval, kSimilarity, kClassification };
inline constexpr std::array kEmbeddingUses = {EmbeddingUse::kRetrieval, EmbeddingUse::kSimilarity,
                                              EmbeddingUse::kClassification};

const char* Name(EmbeddingUse use);  // "retrieval", "similarity", "classification"
std::optional<EmbeddingUse> ParseEmbeddingUse(std::string_view name);

// Immutable: any number of threads may use it.
class EmbeddingHeads {
 public:
  // Copies them as f32. Throws Error kBadModel if the model's file has none, or one of another
  // shape.
  explicit EmbeddingHeads(const Model& model);

  bool Has(EmbeddingUse use) const { return !heads_[Index(use)].fc1.empty(); }

  // LN(fc2 · relu(fc1 · x) + x) of the mean hidden state [C], not divided by its length. Throws
  // Error kBadInput if the file has no head for this use.
  std::vector<float> Apply(EmbeddingUse use, std::span<const float> x) const;

 private:
  struct Head {
    std::vector<float> fc1, fc2;    // [C, C]; empty: none
    std::vector<float> gain, bias;  // [C]
  };
  static size_t Index(EmbeddingUse use) { return static_cast<size_t>(use); }

  std::string file_;
  size_t width_;
  float eps_;
  std::array<Head, kEmbeddingUses.size()> heads_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_EMBEDDING_HEADS_H_
