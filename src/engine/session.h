// Session: one sequence on one model; reads text and generates text.
#ifndef LINNET_ENGINE_SESSION_H_
#define LINNET_ENGINE_SESSION_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "engine/continuation.h"
#include "engine/generated_text.h"
#include "engine/sequence.h"
#include "grammar/constraint.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"

namespace linnet {

// Callbacks during reading and generation. All may be empty.
struct Watcher {
  std::function<void(std::string_view)> text{};       // whole UTF-8 characters, as generated
  std::function<void(size_t done, size_t of)> fed{};  // tokens of the prompt
  std::function<bool()> interrupted{};                // called between passes
  // Each token, with the logits that it was sampled from, also an id that ends the text.
  Sampled sampled{};
};

struct Written {
  std::string text;
  size_t tokens = 0;         // of the text, including a stop string, without a stop id
  size_t prompt_tokens = 0;  // queued before the first generated token
  Finish finish = Finish::kNone;
  double prompt_s = 0, decode_s = 0;
  SpeculationCounts speculation{};  // of this text

  double tokens_per_s() const { return decode_s > 0 ? static_cast<double>(tokens) / decode_s : 0; }
};

// Keeps references to model, tokenizer and workspace. Not thread-safe.
class Session {
 public:
  // If `start` has no logits, a text without a prompt starts from token 0.
  Session(const Model& model, const Tokenizer& tokenizer, Workspace& workspace, Snapshot start,
          Sampler sampler);

  void Feed(std::span<const int32_t> tokens) { sequence_.Feed(tokens); }

  // Runs the queued tokens. Returns false if interrupted: part of the prompt was read, the rest is
  // dropped.
  bool Read(const Watcher& watcher = {});

  // Reads, then samples. Afterwards the session is exactly at the end of the returned text, also if
  // a stop string cut it inside a token. If Read was interrupted, the session is where Read left
  // it. Class Writing does the same step by step. With a constraint the text matches it, if it ends
  // by itself.
  Written Write(const ContinuationOptions& options, const Watcher& watcher = {},
                const std::optional<Constraint>& constraint = {});

  // The position after all text that was fed or generated; runs queued tokens first.
  const Snapshot& Here();
  void Restore(const Snapshot& snapshot) { sequence_.Restore(snapshot); }

  // From now on, passes check guesses of the tokens to come (engine/speculation.h). Texts stay the
  // same, byte for byte. What was fed before is not used for guesses.
  void Speculate(SpeculationOptions options) {
    sequence_.Speculate(std::move(options), model_.config().vocab);
  }
  SpeculationCounts speculation() const;

  Sampler& sampler() { return sequence_.sampler(); }
  const Model& model() const { return model_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

  size_t tokens_run() const { return tokens_run_; }  // run through the model in total

 private:
  friend class Writing;
  void Pass(bool guesses);

  const Model& model_;
  const Tokenizer& tokenizer_;
  Workspace& workspace_;
  Sequence sequence_;
  PassTimes times_;
  size_t tokens_run_ = 0;
};

// A text that is being generated, for callers that take it token by token. Keeps a reference to the
// session, which nobody else may use until the text has ended. Not thread-safe.
class Writing {
 public:
  Writing(Session& session, ContinuationOptions options, std::optional<Constraint> constraint = {});

  // Reads what is queued, or a first token 0, and samples one token. Returns false, and does
  // nothing, once the text has ended. An interruption ends the text.
  bool Step(const Watcher& watcher = {});
  // Ends the text early.
  void Interrupt(const Watcher& watcher = {});

  const Written& written() const { return written_; }  // so far
  // Generation began: the prompt was read.
  bool begun() const { return begun_; }

 private:
  bool Begin(const Watcher& watcher);
  void Show(const Watcher& watcher);

  Session& session_;
  GeneratedText text_;
  Written written_;
  SpeculationCounts before_;  // of the session
  bool begun_ = false;
};

}  // namespace linnet

#endif  // LINNET_ENGINE_SESSION_H_
