// Continuation: the text that sampled tokens make, and where it ends.
#ifndef LINNET_ENGINE_CONTINUATION_H_
#define LINNET_ENGINE_CONTINUATION_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "linnet/sampler.h"
#include "linnet/tokenizer.h"

namespace linnet {

enum class Finish : uint8_t {
  kNone,         // it goes on
  kStop,         // a stop id or a stop string came
  kLength,       // as many tokens as were asked for
  kInterrupted,  // whoever watches wanted no more
};

const char* Name(Finish finish);  // "none", "stop", "length", "interrupted"

struct ContinuationOptions {
  size_t max_tokens = 256;
  std::vector<std::string> stops{};
  std::vector<int32_t> stop_ids = {0};  // 0 ends a document in every vocabulary
};

// One sequence's text: never half a UTF-8 character, nothing of a stop string.
// Not thread-safe; keeps a reference to the tokenizer.
class Continuation {
 public:
  Continuation(const Tokenizer& tokenizer, ContinuationOptions options);

  // Takes the next token and returns the text that can be shown now. A stop id
  // is not part of the text.
  std::string Push(int32_t token);
  // Ends it from outside; returns what was held back.
  std::string Interrupt();

  Finish finish() const { return finish_; }
  size_t tokens() const { return tokens_; }  // without the stop id
  // Whether a stop string, not an id, was the end.
  bool stopped_by_text() const { return matcher_.stopped(); }
  // Whether the text of all tokens so far is out.
  bool clear() const { return bytes_.held() == 0 && matcher_.held() == 0; }

 private:
  std::string Flush();

  const Tokenizer& tokenizer_;
  ContinuationOptions options_;
  Utf8Stream bytes_;
  StopMatcher matcher_;
  size_t tokens_ = 0;
  Finish finish_ = Finish::kNone;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONTINUATION_H_
