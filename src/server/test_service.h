// Service: a small model behind the routes, on a real scheduler, with or without a cache.
#ifndef LINNET_SERVER_TEST_SERVICE_H_
#define LINNET_SERVER_TEST_SERVICE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "linnet/model.h"
#include "models/test_models.h"
#include "server/anthropic_messages.h"
#include "server/json_fields.h"
#include "server/ollama.h"
#include "server/openai_chat.h"
#include "server/openai_completions.h"
#include "server/test_server.h"

namespace linnet::test {

// A model that writes letters and blanks, served with or without a cache.
class Service {
 public:
  explicit Service(bool cached, const std::string& chat_template = "world")
      : model_(Model::Open(LetterModel("v5.2"))) {
    if (cached) {
      cache_ = std::make_unique<StateCache>(model_.state_shape(), "id", CacheOptions{});
    }
    scheduler_ = std::make_unique<Scheduler>(model_, Tokenizer::ForVocabulary(256), workspace_,
                                             cache_.get());
    auto served = std::make_shared<ServedModel>();
    served->name = "letters";
    served->model = &model_;
    served->tokenizer = Tokenizer::ForVocabulary(256);
    served->vocab = 256;
    served->chat_template =
        std::make_shared<const ChatTemplate>(ChatTemplate::Named(chat_template));
    served->cache = cache_.get();
    UseScheduler(*served, *scheduler_);
    const auto models = std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{std::move(served)});
    AddChat(router_, models);
    AddCompletions(router_, models);
    AddAnthropicRoutes(router_, models);
    AddOllamaRoutes(router_, models, {});
  }

  Json Post(const char* path, const Json& body) {
    const auto reply = Ask(router_, "POST", path, body.dump());
    EXPECT_TRUE(reply->WaitForEnd());
    EXPECT_EQ(reply->status, 200) << reply->body;
    return Json::parse(reply->body);
  }
  Json Chat(const Json& body) { return Post("/v1/chat/completions", body); }
  Json Complete(const Json& body) { return Post("/v1/completions", body); }
  std::shared_ptr<RecordedReply> Begin(const char* path, const Json& body) {
    return Ask(router_, "POST", path, body.dump());
  }

  // With a cache.
  CacheStatistics cached() const { return cache_->statistics(); }

  // Until no job is left, those that warm the cache included.
  void Settle() const {
    for (;;) {
      const SchedulerStatistics now = scheduler_->statistics();
      if (now.submitted == now.done + now.cancelled + now.failed) return;
      std::this_thread::yield();
    }
  }

 private:
  const Model model_;
  Workspace workspace_{{.threads = 1}};
  std::unique_ptr<StateCache> cache_;
  std::unique_ptr<Scheduler> scheduler_;
  Router router_;
};

}  // namespace linnet::test

#endif  // LINNET_SERVER_TEST_SERVICE_H_
