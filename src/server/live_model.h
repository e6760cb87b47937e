// LiveModel: a small random model with its scheduler and cache, served, for tests of routes that
// need real states.
#ifndef LINNET_SERVER_LIVE_MODEL_H_
#define LINNET_SERVER_LIVE_MODEL_H_

#include <memory>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "linnet/model.h"
#include "models/test_models.h"
#include "server/kept_states.h"
#include "server/served_model.h"

namespace linnet::test {

// Writes small letters and blanks.
class LiveModel {
 public:
  explicit LiveModel(std::shared_ptr<KeptStates> states, const std::string& version = "7",
                     const OpenOptions& options = {})
      : model(Model::Open(LetterModel(version), options)),
        tokenizer(Tokenizer::ForVocabulary(256)),
        workspace({.threads = 1}),
        identity(model.Identity(workspace, {.cache = ""})),
        cache(model.state_shape(), identity, {}),
        scheduler(model, tokenizer, workspace, &cache),
        served(std::make_shared<ServedModel>()) {
    served->name = "live";
    served->created = 1;
    served->model = &model;
    served->tokenizer = tokenizer;
    served->vocab = 256;
    served->chat_template = std::make_shared<const ChatTemplate>(ChatTemplate::Named("world"));
    served->cache = &cache;
    served->identity = identity;
    served->states = std::move(states);
    served->max_tokens = 16;
    UseScheduler(*served, scheduler);
  }
  std::shared_ptr<const ServedModels> models() const {
    return std::make_shared<const ServedModels>(
        std::vector<std::shared_ptr<const ServedModel>>{served});
  }

  Model model;
  std::shared_ptr<const Tokenizer> tokenizer;
  Workspace workspace;
  std::string identity;
  StateCache cache;
  Scheduler scheduler;
  std::shared_ptr<ServedModel> served;
};

}  // namespace linnet::test

#endif  // LINNET_SERVER_LIVE_MODEL_H_
