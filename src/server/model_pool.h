// ModelPool: models that are loaded when a request asks for them, within a budget of memory.
#ifndef LINNET_SERVER_MODEL_POOL_H_
#define LINNET_SERVER_MODEL_POOL_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/served_model.h"

namespace linnet {

struct LoadedModel {
  std::shared_ptr<const ServedModel> served;                          // owns what runs it
  uint64_t bytes = 0;                                                 // of its weights in memory
  std::function<void(std::chrono::steady_clock::time_point)> stop{};  // Scheduler::Stop
  std::function<void()> flush{};                                      // StateCache::Flush
};

// Where a model comes from.
struct ModelSource {
  std::string name{};
  std::vector<std::string> other_names{}, spellings{};  // as in ModelEntry
  int64_t created = 0;                                  // Unix time
  uint64_t bytes = 0;                   // of its file: what is kept free for it before it is loaded
  bool kept = false;                    // loaded at the start, and never unloaded to make room
  std::function<LoadedModel()> open{};  // throws Error
};

struct ModelPoolOptions {
  std::vector<ModelSource> sources{};  // at least one; the first is the default
  // Further ones, as they are now. Called by any thread when a name is not known and when all are
  // listed. Those with a name that is taken are left out. May be empty.
  std::function<std::vector<ModelSource>()> scan{};
  uint64_t memory_bytes = 0;  // of weights; 0: no limit
  // How long a model waits for room while all others are in use.
  std::chrono::milliseconds patience{10'000};
};

// Thread-safe. Models are opened one after the other on a thread of its own. To make room, the one
// that was asked for least recently goes, of those that nobody uses and that are not `kept`.
class ModelPool : public ServedModels {
 public:
  // Opens the models that are kept. Throws what their `open` throws.
  explicit ModelPool(ModelPoolOptions options);
  // Waits for a model that is being opened. Nobody may use the models any more.
  ~ModelPool() override;

  std::vector<std::shared_ptr<const ServedModel>> all() const override;
  std::vector<ModelEntry> entries() const override;
  // An idle model leaves the memory at once, and comes back when a request asks for it.
  void Unload(const std::string& name) const override;
  void SetDefault(const std::string& name) const override;

  // Refuses to load more, and calls `stop` of all, then `flush`.
  void Stop(std::chrono::steady_clock::time_point until);
  void Flush();

 private:
  std::shared_ptr<const ServedModel> FindNamed(std::string_view name) const override;

  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_MODEL_POOL_H_
