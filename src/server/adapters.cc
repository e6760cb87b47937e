#include "server/adapters.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>
#include <vector>

#include "base/sha256.h"
#include "server/admin.h"
#include "server/kept_states.h"
#include "server/openai_errors.h"
#include "server/request_state.h"
#include "server/served_model.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// The files of the folder by their names without endings. Links out of it are left out.
std::map<std::string, fs::path> AdapterFiles(const fs::path& folder) {
  std::map<std::string, fs::path> files;
  std::error_code failed;
  if (folder.empty()) return files;
  const fs::path home = fs::canonical(folder, failed);
  for (fs::directory_iterator at(home, failed), end; !failed && at != end; at.increment(failed)) {
    std::error_code gone;
    const fs::path path = fs::canonical(at->path(), gone);
    const std::string ending = at->path().extension().string();
    const bool known = ending == ".pth" || ending == ".safetensors" || ending == ".st";
    if (gone || !known || path.parent_path() != home) continue;
    files.emplace(at->path().stem().string(), path);
  }
  return files;
}

OrderedJson LoraObject(const std::string& name, const ServedModel& served,
                       const Adapters::Loaded* loaded) {
  OrderedJson object = {
      {"id", name}, {"object", "lora"}, {"model", served.name}, {"loaded", loaded != nullptr}};
  if (loaded != nullptr) {
    object["created"] = loaded->created;
    object["scale"] = loaded->scale ? OrderedJson(*loaded->scale) : OrderedJson();
    object["bytes"] = loaded->adapter->bytes();
    object["matrices"] = loaded->adapter->matrices();
  }
  return object;
}

int64_t LoadedNow() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

class LoraRoutes : public std::enable_shared_from_this<LoraRoutes> {
 public:
  LoraRoutes(std::shared_ptr<const ServedModels> models, fs::path folder)
      : models_(std::move(models)), folder_(std::move(folder)) {}

  void List(const RouteCall& call) const {
    const auto served = models_->Find(call.request.QueryValue("model").value_or(""));
    const auto loaded = served->adapters->all();
    OrderedJson data = OrderedJson::array();
    for (const auto& [name, one] : loaded) data.push_back(LoraObject(name, *served, &one));
    for (const auto& [name, file] : AdapterFiles(folder_)) {
      if (!loaded.contains(name)) data.push_back(LoraObject(name, *served, nullptr));
    }
    call.reply->Send(200, Dump(OrderedJson{{"object", "list"}, {"data", std::move(data)}}));
  }

  void Load(const RouteCall& call) const {
    RequireAdmin(call.request);
    const Json json = ParseBody(call.request.body);
    const Fields body(json);
    const auto served = models_->Find(body.String("model").value_or(""));
    const std::string file = body.String("file").value_or(body.RequiredString("name"));
    const std::string name = body.RequiredString("name");
    CheckStateId(name, "name");
    const auto files = AdapterFiles(folder_);
    const auto found = files.find(file);
    if (found == files.end()) {
      throw RequestError(404,
                         folder_.empty()
                             ? "this server has no folder of adapters"
                             : fmt::format("no adapter '{}' in the folder of adapters", file),
                         "name", "lora_not_found");
    }
    std::optional<float> scale;
    if (const auto given = body.Number("scale", -1000, 1000)) scale = static_cast<float>(*given);
    if (served->model == nullptr || served->states == nullptr) {
      throw RequestError(422, "this model takes no adapters", "model", "unsupported_parameter");
    }
    // Packing its factors takes a while.
    served->states->Post([served, name, path = found->second, scale, reply = call.reply] {
      try {
        Adapters::Loaded loaded{served->model->LoadAdapter({path, scale}), scale, LoadedNow()};
        served->adapters->Put(name, loaded);
        reply->Send(200, Dump(LoraObject(name, *served, &loaded)));
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kNoMemory) return SendError(*reply, error);
        // An administrator may know the names of files.
        SendError(*reply, RequestError(422, error.what(), "name", "invalid_lora"));
      } catch (const std::exception& error) {
        SendError(*reply, error);
      }
    });
  }

  void Unload(const RouteCall& call) const {
    RequireAdmin(call.request);
    const auto served = models_->Find(call.request.QueryValue("model").value_or(""));
    const std::string& name = call["lora"];
    if (!served->adapters->Erase(name)) served->adapters->Find(name);  // throws
    call.reply->Send(200, Dump(OrderedJson{{"id", name}, {"object", "lora"}, {"deleted", true}}));
  }

 private:
  const std::shared_ptr<const ServedModels> models_;
  const fs::path folder_;
};

}  // namespace

std::shared_ptr<const TurnAdapter> Adapters::Find(const std::string& name) const {
  const std::lock_guard lock(mutex_);
  const auto found = adapters_.find(name);
  if (found != adapters_.end()) return found->second.adapter;
  throw RequestError(404, fmt::format("no LoRA '{}' is loaded for this model", name), "lora",
                     "lora_not_found");
}

void Adapters::Put(const std::string& name, Loaded loaded) {
  const std::lock_guard lock(mutex_);
  adapters_[name] = std::move(loaded);
}

bool Adapters::Erase(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return adapters_.erase(name) > 0;
}

std::map<std::string, Adapters::Loaded> Adapters::all() const {
  const std::lock_guard lock(mutex_);
  return adapters_;
}

std::string IdentityWith(const std::string& model, const TurnAdapter* adapter) {
  return adapter == nullptr ? model : Hex(Sha256Of(model + " with " + adapter->digest()));
}

void AddLoraRoutes(Router& router, std::shared_ptr<const ServedModels> models,
                   const fs::path& folder) {
  const auto routes = std::make_shared<LoraRoutes>(std::move(models), folder);
  router.Add("GET", "/v1/lora", [routes](const RouteCall& call) { routes->List(call); });
  router.Add("POST", "/v1/lora", [routes](const RouteCall& call) { routes->Load(call); });
  router.Add("DELETE", "/v1/lora/{lora}",
             [routes](const RouteCall& call) { routes->Unload(call); });
}

}  // namespace linnet
