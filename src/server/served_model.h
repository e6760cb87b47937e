// ServedModel: a model that the server answers with, and what belongs to it.
#ifndef LINNET_SERVER_SERVED_MODEL_H_
#define LINNET_SERVER_SERVED_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/job.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/tokenizer.h"
#include "server/grammar_store.h"
#include "text/chat_template.h"

namespace linnet {

class Scheduler;
class StateCache;

// Immutable while the server runs; any thread may use it. `model`, `cache` and the scheduler
// behind `submit` belong to the caller and outlive it.
struct ServedModel {
  std::string name;                        // as in the routes
  std::vector<std::string> other_names{};  // also accepted
  int64_t created = 0;                     // Unix time of the file
  const Model* model = nullptr;            // may be null in tests
  std::shared_ptr<const Tokenizer> tokenizer;
  size_t vocab = 0;  // logits: ids below are accepted
  std::shared_ptr<const ChatTemplate> chat_template;
  Think think = Think::kNone;  // unless a request says otherwise
  SamplerOptions chat_sampling{}, text_sampling{};
  size_t max_tokens = 4096;      // of a reply, unless a request says otherwise
  size_t context_length = 4096;  // of training; longer texts are read all the same
  StateCache* cache = nullptr;   // null: nothing is kept between requests
  std::shared_ptr<GrammarStore> grammars = std::make_shared<GrammarStore>();

  // Scheduler::Submit and Scheduler::Cancel, or what a test puts in their place.
  std::function<uint64_t(Job, std::shared_ptr<Listener>)> submit;
  std::function<void(uint64_t)> cancel;
};

// The models of one server. Immutable after construction.
class ServedModels {
 public:
  explicit ServedModels(std::vector<std::shared_ptr<const ServedModel>> models);  // at least one

  // By name; an empty name means the first. Throws RequestError 404 that lists the names.
  std::shared_ptr<const ServedModel> Find(std::string_view name) const;
  const std::vector<std::shared_ptr<const ServedModel>>& all() const { return models_; }

 private:
  std::vector<std::shared_ptr<const ServedModel>> models_;
};

// `submit` and `cancel` of this scheduler, which outlives the model.
void UseScheduler(ServedModel& served, Scheduler& scheduler);

}  // namespace linnet

#endif  // LINNET_SERVER_SERVED_MODEL_H_
