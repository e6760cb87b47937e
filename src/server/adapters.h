// Adapters: the LoRAs of one model that requests may choose, and the routes that load them.
#ifndef LINNET_SERVER_ADAPTERS_H_
#define LINNET_SERVER_ADAPTERS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "linnet/model.h"
#include "server/router.h"

namespace linnet {

class ServedModels;

// Thread-safe. A request keeps the adapter that it began with, also when it is unloaded meanwhile.
class Adapters {
 public:
  struct Loaded {
    std::shared_ptr<const TurnAdapter> adapter;
    std::optional<float> scale{};
    int64_t created = 0;  // Unix time
  };
  // Throws RequestError 404 if there is none with this name.
  std::shared_ptr<const TurnAdapter> Find(const std::string& name) const;
  // In place of one with this name.
  void Put(const std::string& name, Loaded loaded);
  bool Erase(const std::string& name);
  std::map<std::string, Loaded> all() const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, Loaded> adapters_;
};

// The execution identity of a model with this adapter: that of the model if it is null.
std::string IdentityWith(const std::string& model, const TurnAdapter* adapter);

// GET /v1/lora; for administrators POST /v1/lora, which loads a file of `folder` by its name, and
// DELETE /v1/lora/{lora}. With an empty folder nothing can be loaded.
void AddLoraRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                   const std::filesystem::path& folder);

}  // namespace linnet

#endif  // LINNET_SERVER_ADAPTERS_H_
