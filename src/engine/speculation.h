// Speculation: guesses with which tokens a text goes on, which a pass of several rows then checks.
#ifndef LINNET_ENGINE_SPECULATION_H_
#define LINNET_ENGINE_SPECULATION_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/draft_model.h"
#include "engine/ngram_index.h"
#include "engine/pass_times.h"
#include "linnet/sampler.h"

namespace linnet {

class Sequence;  // engine/sequence.h

struct SpeculationOptions {
  static constexpr size_t kAuto = SIZE_MAX;

  size_t most = 0;  // guesses in a pass; 0: none; kAuto: as many as pay by the times measured
  // What the text may turn out to be, or nothing. Ids outside the vocabulary end it.
  std::vector<int32_t> prediction{};
  // Guesses where the text and the prediction have none. Of the same vocabulary. May be null.
  std::shared_ptr<const Model> draft{};
};

struct SpeculationCounts {
  uint64_t passes = 0, guessed = 0, accepted = 0;

  void Add(const SpeculationCounts& other) {
    passes += other.passes;
    guessed += other.guessed;
    accepted += other.accepted;
  }
  SpeculationCounts Since(const SpeculationCounts& start) const {
    return {passes - start.passes, guessed - start.guessed, accepted - start.accepted};
  }
};

// Guesses for one text: from its prediction while it follows it, from what followed the same tokens
// earlier in it, or from a smaller model. A guess is accepted if it is the token that the text's
// own sampler draws, so the text is the same with and without guesses; they only cost or save time.
// Not thread-safe.
class Speculation {
 public:
  static constexpr size_t kMostGuesses = 32;  // in a pass, so that their logits fit

  Speculation(SpeculationOptions options, size_t vocab);

  bool on() const { return options_.most > 0; }

  // The text has these further tokens: of a prompt, or one that was drawn.
  void Read(std::span<const int32_t> tokens);
  void Wrote(int32_t token);

  // Looks for guesses after the text so far, and returns what they promise. With kAuto a source
  // whose guesses failed is offered now and then.
  GuessOffer Look(size_t room);
  // Makes at most so many of those that Look offered, and returns them. They stay valid until the
  // next Look. `sampler` is that of the text; `workspace` runs the draft model.
  std::span<const int32_t> Make(size_t count, const Sampler& sampler, Workspace& workspace);
  double made_s() const { return made_s_; }  // what the last Make took
  bool always() const { return options_.most != SpeculationOptions::kAuto; }
  // With kAuto: of so many guesses that pay, those to make. Of a model's now and then none, at
  // first often, so that the time of a pass without them is known.
  size_t Planned(size_t guesses);
  // Of the guesses in a pass so many were right.
  void Checked(size_t guessed, size_t accepted);

  const SpeculationCounts& counts() const { return counts_; }

 private:
  enum Source : uint8_t { kPrediction, kHistory, kDraft, kSources };
  // Weights of guesses that were right and of those that were not; the older ones count less.
  struct Record {
    double right = 2, wrong = 1;
    // The same by place in a pass: of guesses whose predecessors were right, and that were, too. A
    // text may differ from its prediction at even distances, and a copy that has held goes on to
    // hold.
    std::array<double, kMostGuesses> tried{}, held{};
    size_t skipped = 0;  // times that it was not tried since it last was
    double rate() const { return right / (right + wrong); }
    double chance(size_t place) const {
      constexpr double kPrior = 1;  // of a pass
      return (held[place] + kPrior * rate()) / (tried[place] + kPrior);
    }
  };

  SpeculationOptions options_;
  size_t vocab_;
  NgramIndex text_, predicted_;
  // Where in the prediction the text is, and how many of its last tokens were others.
  size_t place_ = 0, missed_ = 0;
  std::unique_ptr<DraftModel> draft_;
  std::vector<int32_t> guesses_;
  Source source_ = kHistory;
  Record records_[kSources];
  std::array<double, kMostGuesses> chances_{};  // of the last offer
  SpeculationCounts counts_;
  double made_s_ = 0;
  size_t in_a_row_ = 0, most_in_a_row_ = 1;  // passes with the draft model's
};

// How many guesses the sequence's next pass should check, of `rows` rows in all without them, in
// which `texts` tokens are expected. 0 if it does not speculate, or has many tokens to run first.
size_t PlanGuessesOf(Sequence& sequence, const PassTimes& times, size_t rows, double texts);

}  // namespace linnet

#endif  // LINNET_ENGINE_SPECULATION_H_
