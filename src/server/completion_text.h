// CompletionText: one choice of /v1/completions as it is written.
#ifndef LINNET_SERVER_COMPLETION_TEXT_H_
#define LINNET_SERVER_COMPLETION_TEXT_H_

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/job.h"
#include "linnet/tokenizer.h"
#include "server/json_fields.h"

namespace linnet {

// Text and tokens since the last Take, and where the text stands. Not thread-safe; keeps a
// reference to the tokenizer.
class CompletionText {
 public:
  // `offset`: characters before the text.
  CompletionText(const Tokenizer& tokenizer, size_t offset)
      : tokenizer_(tokenizer), offset_(offset) {}

  void Add(std::string_view text, std::span<const TokenInfo> tokens);

  // What was added since, as the `text` and `logprobs` of a choice. `logprobs` is null unless they
  // are wanted.
  OrderedJson Take(size_t index, bool logprobs);

  size_t offset() const { return offset_; }
  bool has_tokens() const { return !tokens_.empty(); }  // since the last Take

 private:
  const Tokenizer& tokenizer_;
  size_t offset_;
  std::string text_;
  std::vector<TokenInfo> tokens_;
};

// Characters of UTF-8 that begin in these bytes.
size_t CharactersIn(std::string_view bytes);

}  // namespace linnet

#endif  // LINNET_SERVER_COMPLETION_TEXT_H_
