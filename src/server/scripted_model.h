// ScriptedModel: a ServedModel for tests of routes that writes what the test says, without an
// engine.
#ifndef LINNET_SERVER_SCRIPTED_MODEL_H_
#define LINNET_SERVER_SCRIPTED_MODEL_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "http/recorded_reply.h"
#include "server/json_fields.h"
#include "server/openai_errors.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet::test {

// Each job writes `pieces`, one token for each byte, as soon as it is submitted; or waits for Run
// if `hold` is set. Use by one thread.
class ScriptedEngine {
 public:
  std::vector<std::string> pieces = {"Hel", "lo"};
  Finish finish = Finish::kStop;
  bool hold = false;
  std::vector<float> embedding = {3, 0, -4};
  size_t cached = 0, kept = 0;  // as in PromptRead
  SpeculationCounts speculation{};
  std::function<void(const Job&)> before{};  // may throw what Submit throws
  std::vector<Job> jobs{};                   // all that were submitted

  uint64_t Submit(Job job, std::shared_ptr<Listener> listener) {
    if (before) before(job);
    const uint64_t id = jobs.size();
    jobs.push_back(std::move(job));
    if (jobs.back().background) return id;
    waiting_[id] = std::move(listener);
    if (!hold) Run(id);
    return id;
  }
  void Cancel(uint64_t id) {
    cancelled.push_back(id);
    if (hold) Run(id, Finish::kInterrupted);
  }

  void Run(uint64_t id) { Run(id, finish); }
  void RunAll() {
    while (!waiting_.empty()) Run(waiting_.begin()->first);
  }
  void Fail(uint64_t id, const Error& error) { Take(id)->OnError(error); }
  size_t waiting() const { return waiting_.size(); }

  std::vector<uint64_t> cancelled{};

 private:
  std::shared_ptr<Listener> Take(uint64_t id) {
    auto listener = std::move(waiting_.at(id));
    waiting_.erase(id);
    return listener;
  }
  void Run(uint64_t id, Finish end) {
    if (!waiting_.contains(id)) return;
    const auto listener = Take(id);
    const Job job = jobs[id];  // the listener may submit another
    listener->OnStart();
    listener->OnPrompt({job.prompt.size(), cached, kept});
    if (job.embed) listener->OnEmbedding(embedding);
    size_t tokens = 0;
    if (job.text.max_tokens > 0 && end != Finish::kInterrupted) {
      for (const std::string& piece : pieces) {
        std::vector<TokenInfo> infos;
        infos.reserve(piece.size());
        for (const char byte : piece) {
          TokenInfo info{.id = static_cast<unsigned char>(byte), .logprob = -0.5f};
          if (job.logprobs > 0) info.top = {{info.id, -0.5f}};
          infos.push_back(std::move(info));
        }
        tokens += piece.size();
        listener->OnPiece(0, {piece, infos});
      }
    }
    for (size_t i = 0; i < job.continuations.size(); ++i) {
      ContinuationScore score;
      for (const int32_t token : job.continuations[i]) {
        score.tokens.push_back({.id = token, .logprob = -1});
      }
      score.logprob = -static_cast<double>(score.tokens.size());
      listener->OnContinuation(i, score);
    }
    if (!job.embed) {
      listener->OnEnd(0, {.finish = end, .tokens = tokens, .speculation = speculation});
    }
    listener->OnDone();
  }

  std::map<uint64_t, std::shared_ptr<Listener>> waiting_;
};

// A model of bytes named "tiny" on an engine of that kind.
inline std::shared_ptr<ServedModel> ScriptedModel(ScriptedEngine& engine,
                                                  const std::string& form = "world") {
  auto served = std::make_shared<ServedModel>();
  served->name = "tiny";
  served->created = 1700000000;
  served->tokenizer = Tokenizer::ForVocabulary(256);
  served->vocab = 256;
  served->chat_template = std::make_shared<const ChatTemplate>(ChatTemplate::Named(form));
  served->submit = [&engine](Job job, std::shared_ptr<Listener> listener) {
    return engine.Submit(std::move(job), std::move(listener));
  };
  served->cancel = [&engine](uint64_t id) { engine.Cancel(id); };
  return served;
}

// Sends a request to the routes; the reply may not have ended.
inline std::shared_ptr<RecordedReply> Call(const Router& router, const std::string& method,
                                           const std::string& target, const std::string& body = "",
                                           const std::string& owner = "") {
  auto reply = std::make_shared<RecordedReply>();
  HttpRequest request;
  request.method = method;
  const size_t query = std::min(target.find('?'), target.size());
  request.path = target.substr(0, query);
  if (query < target.size()) request.query = target.substr(query + 1);
  request.body = body;
  request.owner = owner;
  router.Handle(std::move(request), reply);
  return reply;
}

// The JSON of an answer that comes within a minute.
inline Json AnswerTo(const Router& router, const std::string& method, const std::string& target,
                     const std::string& body = "", const std::string& owner = "",
                     int status = 200) {
  const auto reply = Call(router, method, target, body, owner);
  EXPECT_TRUE(reply->WaitForEnd());
  EXPECT_EQ(reply->status, status) << reply->body;
  return Json::parse(reply->body, nullptr, false);
}

}  // namespace linnet::test

#endif  // LINNET_SERVER_SCRIPTED_MODEL_H_
