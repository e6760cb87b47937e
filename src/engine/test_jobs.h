// What tests of the scheduler share: a model with all that runs it, and a listener that records.
#ifndef LINNET_ENGINE_TEST_JOBS_H_
#define LINNET_ENGINE_TEST_JOBS_H_

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "engine/logprobs.h"
#include "engine/scheduler.h"
#include "engine/session.h"
#include "models/test_models.h"

namespace linnet::test {

// What one choice told.
struct RecordedText {
  std::string text;
  std::vector<TokenInfo> tokens;
  size_t pieces = 0;
  std::optional<Ending> ending{};
};

// Records everything; `on_call`, if set, is called with the name of each call on the scheduler's
// thread, after it was recorded and without the lock.
class Recorder : public Listener {
 public:
  std::function<void(const std::string&)> on_call{};

  void OnStart() override { Note("start"); }
  void OnPromptTokens(std::span<const TokenInfo> infos) override {
    {
      const std::lock_guard lock(mutex_);
      prompt_tokens.insert(prompt_tokens.end(), infos.begin(), infos.end());
    }
    Note("prompt tokens");
  }
  void OnPrompt(const PromptRead& read) override {
    prompt = read;
    Note("prompt");
  }
  void OnEmbedding(std::span<const float> mean) override {
    embedding.assign(mean.begin(), mean.end());
    Note("embedding");
  }
  void OnPiece(size_t choice, const Piece& piece) override {
    {
      const std::lock_guard lock(mutex_);
      RecordedText& to = texts[choice];
      to.text += piece.text;
      to.tokens.insert(to.tokens.end(), piece.tokens.begin(), piece.tokens.end());
      ++to.pieces;
    }
    Note("piece");
  }
  void OnEnd(size_t choice, const Ending& ending) override {
    {
      const std::lock_guard lock(mutex_);
      if (texts[choice].ending) ++mistakes;
      texts[choice].ending = ending;
    }
    Note("end");
  }
  void OnDone() override { Last("done"); }
  void OnError(const Error& e) override {
    error = e;
    Last("error");
  }

  // Returns when the last call was made.
  const Recorder& Wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return ended_; });
    return *this;
  }
  // Returns when this call was made, or the last one.
  void WaitFor(const std::string& call) {
    std::unique_lock lock(mutex_);
    changed_.wait(
        lock, [&] { return ended_ || std::find(calls.begin(), calls.end(), call) != calls.end(); });
  }
  std::string TextSoFar(size_t choice = 0) {
    const std::lock_guard lock(mutex_);
    return texts[choice].text;
  }

  // Read after Wait.
  std::map<size_t, RecordedText> texts;
  std::vector<TokenInfo> prompt_tokens;
  std::vector<float> embedding;
  PromptRead prompt;
  std::optional<Error> error;
  std::vector<std::string> calls;  // each once in a row
  int mistakes = 0;                // calls after the last one, or a second end

 private:
  void Note(const std::string& call) {
    {
      const std::lock_guard lock(mutex_);
      if (ended_) ++mistakes;
      if (calls.empty() || calls.back() != call) calls.push_back(call);
    }
    changed_.notify_all();
    if (on_call) on_call(call);
  }
  void Last(const std::string& call) {
    Note(call);
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ended_ = false;
};

// Lets a listener stop the scheduler's thread until it is opened.
class Gate {
 public:
  void Pass() {
    std::unique_lock lock(mutex_);
    reached_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return open_; });
  }
  void WaitUntilReached() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reached_; });
  }
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false, reached_ = false;
};

// A job of letters that ends by length only.
inline Job LetterJob(const std::string& prompt, size_t max_tokens, uint64_t seed = 1) {
  Job job;
  job.prompt.assign(prompt.begin(), prompt.end());
  job.text = {.max_tokens = max_tokens, .stop_ids = {}};
  job.sampler.top_p = 0.9f;
  job.sampler.seed = seed;
  job.want_logprobs = true;
  job.logprobs = 2;
  return job;
}

struct Expected {
  std::string text;
  std::vector<TokenInfo> tokens;  // that were sampled, also those of a stop string
  Finish finish = Finish::kNone;
};

// What a session alone generates, one token after the other.
inline Expected Alone(const Model& model, const std::shared_ptr<const Tokenizer>& tokenizer,
                      const Job& job, const std::optional<Constraint>& constraint = {}) {
  Workspace workspace({.threads = 1});
  Session session(model, *tokenizer, workspace,
                  job.start != nullptr ? job.start->Clone() : Snapshot{model.NewState(), {}},
                  Sampler(job.sampler, tokenizer));
  session.Feed(job.prompt);
  Expected expected;
  const Written written =
      session.Write(job.text,
                    {.sampled =
                         [&](int32_t token, std::span<const float> logits) {
                           expected.tokens.push_back(InfoOf(token, logits, job.logprobs));
                         }},
                    constraint);
  expected.text = written.text;
  expected.finish = written.finish;
  return expected;
}

inline bool SameBits(const TokenInfo& a, const TokenInfo& b) {
  return a.id == b.id && std::memcmp(&a.logprob, &b.logprob, sizeof(float)) == 0 && a.top == b.top;
}

// Whether the tokens told are the first of those expected, bit for bit.
inline bool StartsWith(const std::vector<TokenInfo>& all, const std::vector<TokenInfo>& start) {
  return start.size() <= all.size() &&
         std::equal(start.begin(), start.end(), all.begin(), SameBits);
}

}  // namespace linnet::test

#endif  // LINNET_ENGINE_TEST_JOBS_H_
