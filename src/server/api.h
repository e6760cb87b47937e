// Api: all routes of the server, and what they share.
#ifndef LINNET_SERVER_API_H_
#define LINNET_SERVER_API_H_

#include <atomic>
#include <filesystem>
#include <memory>

#include "server/kept_states.h"
#include "server/metrics.h"
#include "server/model_store.h"
#include "server/response_store.h"
#include "server/router.h"
#include "server/served_model.h"

namespace linnet {

struct ApiOptions {
  // Where responses are kept; empty: in memory, until the program ends.
  std::filesystem::path folder{};
  // Those of the models; null: states are kept in memory, and no model uses them.
  std::shared_ptr<KeptStates> states{};
  std::filesystem::path lora_folder{};  // of adapters that may be loaded; empty: none
  ModelChanges changes{};               // the store outlives the Api
};

// Thread-safe once it is set up. Outlives the HttpServer whose requests it handles.
class Api {
 public:
  // `metrics` outlives it. Throws Error kIo if the folder cannot be used.
  Api(std::shared_ptr<const ServedModels> models, const Metrics& metrics,
      const ApiOptions& options);

  const Router& router() const { return router_; }
  const ResponseStore& responses() const { return *responses_; }
  // What /ready says: at first, no.
  void SetReady(bool ready) { ready_ = ready; }

 private:
  std::atomic<bool> ready_ = false;
  std::shared_ptr<ResponseStore> responses_;
  Router router_;
};

}  // namespace linnet

#endif  // LINNET_SERVER_API_H_
