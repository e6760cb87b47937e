// Perplexity: how well a model foretells a text.
#ifndef LINNET_EVAL_PERPLEXITY_H_
#define LINNET_EVAL_PERPLEXITY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

// Sums, so that the scores of several texts add up.
struct TextScore {
  double nats = 0;    // of all scored tokens
  size_t tokens = 0;  // scored
  size_t bytes = 0;   // that they stand for

  double bits_per_byte() const;
  double nats_per_token() const;
  double perplexity() const;
  TextScore& operator+=(const TextScore& other);
};

struct PerplexityOptions {
  // 0: the whole text after token 0, its state carried, every token scored and
  // divided by all bytes. N: an empty state each N tokens, the first of each
  // neither scored nor its bytes counted (as Uncheatable Eval does).
  size_t chunk = 0;
  const State* start = nullptr;                               // in the place of an empty state
  std::function<void(size_t done, size_t total)> progress{};  // in tokens
};

// A text without tokens scores nothing. Uses the workspace's threads.
TextScore ScoreText(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                    std::string_view text, const PerplexityOptions& options = {});

}  // namespace linnet

#endif  // LINNET_EVAL_PERPLEXITY_H_
