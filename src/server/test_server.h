// A scheduler that writes what a test says, and a served model on it.
#ifndef LINNET_SERVER_TEST_SERVER_H_
#define LINNET_SERVER_TEST_SERVER_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/job.h"
#include "http/recorded_reply.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet::test {

// Answers each job at once, on the caller's thread. Not thread-safe.
class ScriptedScheduler {
 public:
  // The texts of the choices, in order; those beyond have the last one. They end by themselves
  // unless max_tokens is reached, and a stop string in them is obeyed.
  std::vector<std::string> texts = {"Hello."};
  size_t piece_bytes = 1;       // of a piece; a token each
  size_t cached = 0, kept = 0;  // tokens of each prompt
  SpeculationCounts speculation{};
  // Of a token of a continuation.
  std::function<float(const Job& job, size_t continuation, size_t token)> logprob =
      [](const Job&, size_t, size_t) { return -0.5f; };
  bool tells_stops = false;        // a text that ends by itself ends at token 0
  bool holds = false;              // keep jobs instead of answering them
  std::function<void()> refuse{};  // called first; may throw

  struct Held {
    Job job;
    std::shared_ptr<Listener> listener;
  };
  std::vector<Job> jobs;  // all that were submitted
  std::vector<Held> held;
  std::vector<uint64_t> cancelled;

  uint64_t Submit(Job job, std::shared_ptr<Listener> listener) {
    if (refuse) refuse();
    jobs.push_back(job);
    if (holds) {
      held.push_back({std::move(job), std::move(listener)});
    } else {
      Run(job, *listener);
    }
    return jobs.size();
  }

  void Run(const Job& job, Listener& listener) const {
    listener.OnStart();
    if (job.score_prompt) {
      std::vector<TokenInfo> scored;
      for (const int32_t id : job.prompt) {
        scored.push_back({.id = id, .logprob = scored.empty() ? NAN : -0.5f});
      }
      listener.OnPromptTokens(scored);
    }
    listener.OnPrompt({job.prompt.size(), std::min(cached, job.prompt.size()),
                       std::min(std::max(cached, kept), job.prompt.size())});
    if (job.embed) listener.OnEmbedding(std::vector<float>{3, -4});
    if (job.continuations.empty()) {
      for (size_t choice = 0; choice < job.choices; ++choice) Write(job, choice, listener);
    } else {
      for (size_t i = 0; i < job.continuations.size(); ++i) Score(job, i, listener);
      listener.OnEnd(0, {.finish = Finish::kLength});
    }
    listener.OnDone();
  }

 private:
  void Score(const Job& job, size_t index, Listener& listener) const {
    ContinuationScore score;
    for (const int32_t id : job.continuations[index]) {
      TokenInfo token{.id = id, .logprob = logprob(job, index, score.tokens.size())};
      for (size_t i = 0; i < job.logprobs; ++i) {
        token.top.emplace_back(static_cast<int32_t>('a' + i), -0.25f);
      }
      score.logprob += static_cast<double>(token.logprob);
      score.greedy = score.greedy && token.logprob > -0.3f;
      score.tokens.push_back(std::move(token));
    }
    listener.OnContinuation(index, score);
  }

  void Write(const Job& job, size_t choice, Listener& listener) const {
    std::string text = texts[std::min(choice, texts.size() - 1)];
    Ending ending{.finish = Finish::kStop};
    for (const std::string& stop : job.text.stops) {
      if (const size_t at = text.find(stop); at != text.npos) {
        text.resize(at);
        ending.stop = stop;
      }
    }
    for (size_t at = 0; at < text.size(); at += piece_bytes) {
      if (ending.tokens == job.text.max_tokens) {
        ending.finish = Finish::kLength;
        break;
      }
      const std::string piece = text.substr(at, piece_bytes);
      TokenInfo token{.id = static_cast<unsigned char>(piece[0])};
      if (job.want_logprobs) {
        token.logprob = -0.25f * static_cast<float>(choice + 1);
        ending.logprob += static_cast<double>(token.logprob);
      }
      for (size_t i = 0; i < job.logprobs; ++i) {
        token.top.emplace_back(static_cast<int32_t>('a' + i), -1.0f);
      }
      listener.OnPiece(choice, {piece, std::span(&token, 1)});
      ++ending.tokens;
    }
    if (job.text.max_tokens == 0) ending.finish = Finish::kLength;
    if (tells_stops && ending.finish == Finish::kStop && ending.stop.empty()) {
      ending.stop_id = 0;
      if (job.want_logprobs) ending.stop_info = TokenInfo{.id = 0, .logprob = -0.125f};
    }
    ending.speculation = speculation;
    listener.OnEnd(choice, ending);
  }
};

// A model of bytes with the template of this name.
inline std::shared_ptr<ServedModel> ScriptedModel(ScriptedScheduler& scheduler,
                                                  const std::string& chat_template = "world") {
  auto served = std::make_shared<ServedModel>();
  served->name = "tiny";
  served->created = 1;
  served->tokenizer = Tokenizer::ForVocabulary(256);
  served->vocab = 256;
  served->chat_template = std::make_shared<const ChatTemplate>(ChatTemplate::Named(chat_template));
  served->think = served->chat_template->default_think();
  served->submit = [&scheduler](Job job, std::shared_ptr<Listener> listener) {
    return scheduler.Submit(std::move(job), std::move(listener));
  };
  served->cancel = [&scheduler](uint64_t job) { scheduler.cancelled.push_back(job); };
  return served;
}

// Such a scheduler and model, and a router for the routes that a test adds.
struct ScriptedServer {
  explicit ScriptedServer(const std::string& chat_template = "world")
      : model(ScriptedModel(scheduler, chat_template)),
        models(std::make_shared<const ServedModels>(
            std::vector<std::shared_ptr<const ServedModel>>{model})) {}

  // The prompt of the last job, as text.
  std::string Prompt() const { return model->tokenizer->Decode(scheduler.jobs.back().prompt); }

  ScriptedScheduler scheduler;
  std::shared_ptr<ServedModel> model;
  std::shared_ptr<const ServedModels> models;
  Router router;
};

// The answer of a router to one request.
inline std::shared_ptr<RecordedReply> Ask(const Router& router, const std::string& method,
                                          const std::string& path, const std::string& body = "") {
  auto reply = std::make_shared<RecordedReply>();
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.body = body;
  router.Handle(std::move(request), reply);
  return reply;
}

// The data of a stream's events, without ids and times.
inline std::vector<std::string> EventsOf(const RecordedReply& reply) {
  std::vector<std::string> events;
  std::string_view left = reply.body;
  while (!left.empty()) {
    const size_t end = std::min(left.find("\n\n"), left.size());
    std::string_view event = left.substr(0, end);
    left.remove_prefix(std::min(end + 2, left.size()));
    if (event.starts_with("data: ")) event.remove_prefix(6);
    events.emplace_back(event);
  }
  return events;
}

}  // namespace linnet::test

#endif  // LINNET_SERVER_TEST_SERVER_H_
