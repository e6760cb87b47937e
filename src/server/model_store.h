// ModelStore: changes which models there are, for Ollama's routes that do so.
#ifndef LINNET_SERVER_MODEL_STORE_H_
#define LINNET_SERVER_MODEL_STORE_H_

#include <cstdint>
#include <functional>
#include <string>

#include "linnet/error.h"

namespace linnet {

// What a pull has done so far.
struct PullStatus {
  std::string status{};               // "pulling manifest", "verifying sha256 digest"; one line
  std::string digest{};               // of the file that is fetched; may be empty
  uint64_t total = 0, completed = 0;  // bytes of that file; 0: not known yet
};

// Implemented by who knows where models are kept. Thread-safe; outlives the server.
class ModelStore {
 public:
  struct PullEvents {
    std::function<void(const PullStatus&)> progress{};
    std::function<void(const Error*)> done{};  // once, as the last; null: the model is there
    std::function<bool()> cancelled{};         // the client left: asked from time to time
  };

  virtual ~ModelStore() = default;
  // Begins to fetch a model and returns at once; the events are called by any one thread at a time.
  // Throws Error for a name that cannot be fetched; no event is called then.
  virtual void Pull(const std::string& name, PullEvents events) = 0;
  // Gives a model another name, without a copy of its weights. Throws Error kBadInput, RequestError
  // 404.
  virtual void Copy(const std::string& source, const std::string& destination) = 0;
  // Removes a model that is not loaded, or one of its other names. Throws Error kBadInput,
  // RequestError: 404, 409 if it is loaded.
  virtual void Delete(const std::string& name) = 0;
};

// What the operator allows. Never for everyone: see MayChangeModels.
struct ModelChanges {
  ModelStore* store = nullptr;  // null: this server changes no models
  bool from_here = false;       // also for clients on this machine, if the server has no keys
  std::string way_out{};        // what the operator can do about a refusal
};

}  // namespace linnet

#endif  // LINNET_SERVER_MODEL_STORE_H_
