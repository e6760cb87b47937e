// Pooling: which hidden states of a text make up its vector.
#ifndef LINNET_ENGINE_POOLING_H_
#define LINNET_ENGINE_POOLING_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "linnet/config.h"

namespace linnet {

enum class Pooling : uint8_t {
  kMean,      // of all tokens
  kWeighted,  // of all tokens, the i-th counted i times: later ones have read more
  kLast,      // the last token's
  kEnd,       // the mean of those of EndToken, which EmbeddingRWKV puts behind a text
};
inline constexpr std::array kPoolings = {Pooling::kMean, Pooling::kWeighted, Pooling::kLast,
                                         Pooling::kEnd};

const char* Name(Pooling pooling);  // "mean", "weighted", "last", "end"
std::optional<Pooling> ParsePooling(std::string_view name);

// The last of the vocabulary, which no text is encoded to: 65535 in the World vocabulary.
int32_t EndToken(const Config& config);

// The weights of the text's tokens from `first` on, one for each of `out`.
void PoolingWeights(Pooling pooling, std::span<const int32_t> text, int32_t end, size_t first,
                    std::span<float> out);

// The sums divided by the sum of all weights. Zeros if that is 0.
std::vector<float> Pooled(std::span<const double> sums, double weight);

// Divided by its length, as vectors are compared. Zeros if it has none or is not finite.
std::vector<float> Normalized(std::span<const float> vector);

}  // namespace linnet

#endif  // LINNET_ENGINE_POOLING_H_
