// Continuation: decodes sampled tokens to text and detects the end of the text.
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
  kNone,         // not finished
  kStop,         // a stop id or a stop string was sampled
  kLength,       // the token limit was reached
  kInterrupted,  // the caller interrupted it
};

const char* Name(Finish finish);  // "none", "stop", "length", "interrupted"

struct ContinuationOptions {
  size_t max_tokens = 256;
  std::vector<std::string> stops{};
  std::vector<int32_t> stop_ids = {0};  // 0 ends a document in every vocabulary
};

// The generated text of one sequence. Never returns part of a UTF-8 character or part of a stop
// string. Not thread-safe; keeps a reference to the tokenizer.
class Continuation {
 public:
  Continuation(const Tokenizer& tokenizer, ContinuationOptions options);

  // Takes the next token and returns the text that can be shown now. A stop id
  // is not part of the text.
  std::string Push(int32_t token);
  // Ends the text early; returns what was held back.
  std::string Interrupt();
  // The same for a text that is complete: as kStop, also if it has just reached its limit.
  std::string Complete();

  Finish finish() const { return finish_; }
  size_t tokens() const { return tokens_; }  // without the stop id
  // Whether the text ended at a stop string, not at a stop id; and which one.
  bool stopped_by_text() const { return matcher_.stopped(); }
  const std::string& stop() const { return matcher_.stop(); }
  // Bytes of whole characters so far, also those that are held back.
  size_t decoded() const { return decoded_; }
  // Whether the text of all tokens so far was returned.
  bool clear() const { return bytes_.held() == 0 && matcher_.held() == 0; }

 private:
  std::string Flush();

  const Tokenizer& tokenizer_;
  ContinuationOptions options_;
  Utf8Stream bytes_;
  StopMatcher matcher_;
  size_t tokens_ = 0, decoded_ = 0;
  Finish finish_ = Finish::kNone;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_CONTINUATION_H_
