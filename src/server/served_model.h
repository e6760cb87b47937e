// ServedModel: a model that the server answers with, and what belongs to it.
#ifndef LINNET_SERVER_SERVED_MODEL_H_
#define LINNET_SERVER_SERVED_MODEL_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/embedder.h"
#include "engine/job.h"
#include "linnet/model.h"
#include "linnet/sampler.h"
#include "linnet/tokenizer.h"
#include "server/adapters.h"
#include "server/grammar_store.h"
#include "server/openai_errors.h"
#include "text/chat_template.h"

namespace linnet {

class KeptStates;
class Scheduler;
class StateCache;

// Texts of a model that run now, and that may at once; those that wait.
struct ServedLoad {
  size_t running = 0, places = 0, waiting = 0;
};

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
  // How it makes vectors; null in tests: the mean of all hidden states, divided by its length.
  std::shared_ptr<const Embedder> embedder{};
  // Reranker::Score, of an embedding model with a reranker; else empty. By one thread at a time:
  // the scheduler's.
  std::function<double(const State&)> rerank{};
  StateCache* cache = nullptr;  // null: nothing is kept between requests
  std::string identity{};       // Model::Identity, with the tokenizer
  // Where clients keep states by name; null: nowhere.
  std::shared_ptr<KeptStates> states{};
  std::shared_ptr<Adapters> adapters = std::make_shared<Adapters>();  // that requests may choose
  std::shared_ptr<GrammarStore> grammars = std::make_shared<GrammarStore>();

  // Scheduler::Submit and Scheduler::Cancel, or what a test puts in their place.
  std::function<uint64_t(Job, std::shared_ptr<Listener>)> submit;
  std::function<void(uint64_t)> cancel;
  std::function<ServedLoad()> load{};  // null: not known
};

// A model that can be asked for, in memory or not.
struct ModelEntry {
  std::string name{};
  std::vector<std::string> other_names{};
  std::vector<std::string> spellings{};          // accepted, too, but not listed
  int64_t created = 0;                           // as in ServedModel
  uint64_t bytes = 0;                            // in memory, or of its file
  std::shared_ptr<const ServedModel> served{};   // null unless it is in memory
  size_t users = 0;                              // requests that have it, about
  std::optional<std::chrono::seconds> unused{};  // since the last request
  bool is_default = false, kept = true;          // `kept`: not unloaded to make room
};

// The models of one server. This class has those that it was given; model_pool.h loads more. Any
// thread may call everything.
class ServedModels {
 public:
  explicit ServedModels(std::vector<std::shared_ptr<const ServedModel>> models);  // at least one
  virtual ~ServedModels() = default;

  // By name; an empty name means the default, at first the first. Throws RequestError 404 that
  // lists the names. Throws ModelLoading if the model is not in memory; the router calls the
  // handler again when it is. So call it before anything is changed.
  // Ollama's clients add a tag, `NAME:latest`, which means the same.
  std::shared_ptr<const ServedModel> Find(std::string_view name) const;
  // The same, but null if there is no such model.
  std::shared_ptr<const ServedModel> FindIfServed(std::string_view name) const;
  // Those in memory.
  virtual std::vector<std::shared_ptr<const ServedModel>> all() const { return models_; }
  // All, the default first.
  virtual std::vector<ModelEntry> entries() const;

  // What an administrator may ask for. Throw RequestError: 404 for an unknown name, 409 if the
  // model is in use, 422 if these models do not change.
  virtual void Unload(const std::string& name) const;
  virtual void SetDefault(const std::string& name) const;

 protected:
  ServedModels() = default;
  // FindIfServed of a name without a tag.
  virtual std::shared_ptr<const ServedModel> FindNamed(std::string_view name) const;

 private:
  std::vector<std::shared_ptr<const ServedModel>> models_;
};

// `NAME` of Ollama's `NAME:latest`, a part of the argument; empty if there is no such tag.
std::string_view WithoutTag(std::string_view name);

// The one with this name, or with it and Ollama's tag `:latest`; null if there is none.
const ModelEntry* FindEntry(std::span<const ModelEntry> models, std::string_view name);

// A model is not in memory yet; its loading has begun.
class ModelLoading : public RequestError {
 public:
  using Then = std::function<void(const std::exception* failure)>;
  ModelLoading(const std::string& name, std::function<void(Then)> wait);
  // Calls `then` once, on a thread of the models, where Find finds the model; or with the reason
  // why it cannot be loaded.
  void Wait(Then then) const { wait_(std::move(then)); }

 private:
  std::function<void(Then)> wait_;
};

// The error for a name that is none of these.
RequestError NoSuchModel(std::string_view name, const std::vector<ModelEntry>& models);

// `submit`, `cancel` and `load` of this scheduler, which outlives the model.
void UseScheduler(ServedModel& served, Scheduler& scheduler);

}  // namespace linnet

#endif  // LINNET_SERVER_SERVED_MODEL_H_
