// Session: one sequence on one model, fed with text and written on.
#ifndef LINNET_ENGINE_SESSION_H_
#define LINNET_ENGINE_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "engine/continuation.h"
#include "engine/sequence.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

// What a caller wants to see or to say while text is written. All may be empty.
struct Watcher {
  std::function<void(std::string_view)> text{};       // whole UTF-8 characters, as they come
  std::function<void(size_t done, size_t of)> fed{};  // tokens of the prompt
  std::function<bool()> interrupted{};                // asked between passes
};

struct Written {
  std::string text;
  size_t tokens = 0;         // of the text, with those of a stop string, without a stop id
  size_t prompt_tokens = 0;  // that waited before the first
  Finish finish = Finish::kNone;
  double prompt_s = 0, decode_s = 0;

  double tokens_per_s() const { return decode_s > 0 ? static_cast<double>(tokens) / decode_s : 0; }
};

// Keeps references to model, tokenizer and workspace. One thread at a time.
class Session {
 public:
  // `start` may hold no logits: then a text without a prompt starts from token 0.
  Session(const Model& model, const Tokenizer& tokenizer, Workspace& workspace, Snapshot start,
          Sampler sampler);

  void Feed(std::span<const int32_t> tokens) { sequence_.Feed(tokens); }

  // Runs what was fed. False if it was interrupted: then the session stands
  // somewhere in the prompt, the rest is dropped.
  bool Read(const Watcher& watcher = {});

  // Reads, then samples on. Afterwards the session stands right behind the text
  // returned, also where a stop string cut it off inside a token; or where Read
  // was interrupted.
  Written Write(const ContinuationOptions& options, const Watcher& watcher = {});

  // Behind all that was fed or written; reads what waits.
  const Snapshot& Here();
  void Restore(const Snapshot& snapshot) { sequence_.Restore(snapshot); }

  Sampler& sampler() { return sequence_.sampler(); }
  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

  size_t tokens_run() const { return tokens_run_; }  // through the model, all in all

 private:
  void WriteOn(const ContinuationOptions& options, const Watcher& watcher, Written& out);
  void Pass();

  const Model& model_;
  const Tokenizer& tokenizer_;
  Workspace& workspace_;
  Sequence sequence_;
  size_t tokens_run_ = 0;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_SESSION_H_
