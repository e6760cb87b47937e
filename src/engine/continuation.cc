#include "engine/continuation.h"

#include <algorithm>
#include <utility>

namespace linnet {

const char* Name(Finish finish) {
  switch (finish) {
    case Finish::kNone:
      return "none";
    case Finish::kStop:
      return "stop";
    case Finish::kLength:
      return "length";
    case Finish::kInterrupted:
      return "interrupted";
  }
  return "?";
}

Continuation::Continuation(const Tokenizer& tokenizer, ContinuationOptions options)
    : tokenizer_(tokenizer), options_(std::move(options)), matcher_(options_.stops) {
  if (options_.max_tokens == 0) finish_ = Finish::kLength;
}

std::string Continuation::Push(int32_t token) {
  const auto& ids = options_.stop_ids;
  if (std::find(ids.begin(), ids.end(), token) != ids.end()) {
    finish_ = Finish::kStop;
    return Flush();
  }
  ++tokens_;
  const std::string whole = bytes_.Push(tokenizer_.Bytes(token));
  decoded_ += whole.size();
  std::string text = matcher_.Push(whole);
  if (matcher_.stopped()) {
    finish_ = Finish::kStop;
  } else if (tokens_ >= options_.max_tokens) {
    finish_ = Finish::kLength;
    text += Flush();
  }
  return text;
}

std::string Continuation::Interrupt() {
  if (finish_ != Finish::kNone) return {};
  finish_ = Finish::kInterrupted;
  return Flush();
}

std::string Continuation::Complete() {
  if (finish_ != Finish::kNone && finish_ != Finish::kLength) return {};
  finish_ = Finish::kStop;
  return Flush();
}

std::string Continuation::Flush() {
  std::string text = matcher_.Push(bytes_.Finish());
  text += matcher_.Finish();
  return text;
}

}  // namespace linnet
