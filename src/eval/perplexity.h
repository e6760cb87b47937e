// Perplexity: how well a model predicts a text.
#ifndef LINNET_EVAL_PERPLEXITY_H_
#define LINNET_EVAL_PERPLEXITY_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

// Sums, so that the scores of several texts can be added.
struct TextScore {
  double nats = 0;    // of all scored tokens
  size_t tokens = 0;  // scored
  size_t bytes = 0;   // bytes of the scored tokens

  double bits_per_byte() const;
  double nats_per_token() const;
  double perplexity() const;
  TextScore& operator+=(const TextScore& other);
};

struct PerplexityOptions {
  // 0: the whole text after token 0, with the state carried over; every token is scored and the
  // score divided by all bytes. N: an empty state every N tokens; the first token of each chunk is
  // not scored and its bytes are not counted (as in Uncheatable Eval).
  size_t chunk = 0;
  const State* start = nullptr;                               // used instead of an empty state
  std::function<void(size_t done, size_t total)> progress{};  // in tokens
  // Each scored token in order: how many tokens are before it in the text or chunk, and its loss.
  std::function<void(size_t position, double nats)> token{};
};

// A text without tokens scores 0 tokens. Uses the workspace's threads.
TextScore ScoreText(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                    std::string_view text, const PerplexityOptions& options = {});

}  // namespace linnet

#endif  // LINNET_EVAL_PERPLEXITY_H_
