#include "engine/session.h"

#include <chrono>
#include <optional>
#include <utility>

namespace linnet {
namespace {

// Enough rows for fast products, few enough to react to an interrupt soon.
constexpr size_t kTokensPerPass = 256;
constexpr int32_t kStartToken = 0;

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

bool Interrupted(const Watcher& watcher) { return watcher.interrupted && watcher.interrupted(); }

}  // namespace

Session::Session(const Model& model, const Tokenizer& tokenizer, Workspace& workspace,
                 Snapshot start, Sampler sampler)
    : model_(model),
      tokenizer_(tokenizer),
      workspace_(workspace),
      sequence_(std::move(start), std::move(sampler)) {}

void Session::Pass() {
  Sequence* const self = &sequence_;
  tokens_run_ += Advance(model_, std::span(&self, 1), kTokensPerPass, workspace_);
}

const Snapshot& Session::Here() {
  Read();
  return sequence_.at();
}

bool Session::Read(const Watcher& watcher) {
  const size_t all = sequence_.waiting();
  while (sequence_.waiting() > 0) {
    if (Interrupted(watcher)) {
      sequence_.DropWaiting();
      return false;
    }
    Pass();
    if (watcher.fed) watcher.fed(all - sequence_.waiting(), all);
  }
  return true;
}

Written Session::Write(const ContinuationOptions& options, const Watcher& watcher) {
  if (sequence_.waiting() == 0 && !sequence_.ready()) Feed(std::span(&kStartToken, 1));
  Written out;
  out.prompt_tokens = sequence_.waiting();
  const Stopwatch prompt;
  if (!Read(watcher)) {
    out.finish = Finish::kInterrupted;
    return out;
  }
  out.prompt_s = prompt.Seconds();
  const Stopwatch decode;
  WriteOn(options, watcher, out);
  out.decode_s = decode.Seconds();
  return out;
}

void Session::WriteOn(const ContinuationOptions& options, const Watcher& watcher, Written& out) {
  Continuation text(tokenizer_, options);
  const auto show = [&](const std::string& part) {
    out.text += part;
    if (watcher.text && !part.empty()) watcher.text(part);
  };
  // The last position at which all text was returned. If the text after it turns out to be a stop
  // string, the session returns there. Cloned only when a stop string may have begun.
  std::optional<Snapshot> before;
  size_t before_size = 0;
  while (text.finish() == Finish::kNone) {
    Read();
    if (Interrupted(watcher)) {
      show(text.Interrupt());
      break;
    }
    const int32_t token = sequence_.Sample();
    const bool was_clear = text.clear();
    const size_t was_tokens = text.tokens();
    const std::string part = text.Push(token);
    if (text.clear() && !text.stopped_by_text()) {
      before.reset();
    } else if (was_clear && !options.stops.empty()) {
      before = sequence_.at().Clone();
      before_size = out.text.size();
    }
    show(part);
    if (text.tokens() > was_tokens) Feed(std::span(&token, 1));
  }
  out.tokens = text.tokens();
  out.finish = text.finish();
  if (text.stopped_by_text()) {
    Restore(*before);
    Feed(tokenizer_.Encode(std::string_view(out.text).substr(before_size)));
  }
}

}  // namespace linnet
