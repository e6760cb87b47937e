#include "server/served_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/scheduler.h"

namespace linnet {
namespace {

const ModelEntry* EntryNamed(std::span<const ModelEntry> models, std::string_view name) {
  const auto found = std::find_if(models.begin(), models.end(), [&](const ModelEntry& model) {
    const auto& others = model.other_names;
    return model.name == name || std::find(others.begin(), others.end(), name) != others.end();
  });
  return found == models.end() ? nullptr : &*found;
}

}  // namespace

const ModelEntry* FindEntry(std::span<const ModelEntry> models, std::string_view name) {
  if (const ModelEntry* entry = EntryNamed(models, name)) return entry;
  constexpr std::string_view kTag = ":latest";
  if (!name.ends_with(kTag)) return nullptr;
  name.remove_suffix(kTag.size());
  return EntryNamed(models, name);
}

ServedModels::ServedModels(std::vector<std::shared_ptr<const ServedModel>> models)
    : models_(std::move(models)) {
  LINNET_CHECK(!models_.empty());
}

std::shared_ptr<const ServedModel> ServedModels::FindIfServed(std::string_view name) const {
  if (name.empty()) return FindNamed(name);
  const auto models = entries();
  const ModelEntry* const entry = FindEntry(models, name);
  return entry == nullptr ? nullptr : FindNamed(entry->name);
}

std::shared_ptr<const ServedModel> ServedModels::Find(std::string_view name) const {
  if (auto found = FindIfServed(name)) return found;
  return FindNamed(name);  // which says what there is
}

std::shared_ptr<const ServedModel> ServedModels::FindNamed(std::string_view name) const {
  if (name.empty()) return models_.front();
  for (const auto& model : models_) {
    const auto& others = model->other_names;
    if (model->name == name || std::find(others.begin(), others.end(), name) != others.end()) {
      return model;
    }
  }
  throw NoSuchModel(name, entries());
}

std::vector<ModelEntry> ServedModels::entries() const {
  std::vector<ModelEntry> entries;
  entries.reserve(models_.size());
  for (const auto& model : models_) {
    entries.push_back({.name = model->name,
                       .other_names = model->other_names,
                       .created = model->created,
                       .served = model,
                       .is_default = entries.empty()});
  }
  return entries;
}

void ServedModels::Unload(const std::string& /*name*/) const {
  throw RequestError(422, "the models of this server do not change", "model",
                     "unsupported_parameter");
}

void ServedModels::SetDefault(const std::string& name) const { Unload(name); }

ModelLoading::ModelLoading(const std::string& name, std::function<void(Then)> wait)
    : RequestError(503, fmt::format("model '{}' is being loaded, ask again", name), "model",
                   "model_loading"),
      wait_(std::move(wait)) {}

RequestError NoSuchModel(std::string_view name, const std::vector<ModelEntry>& models) {
  std::vector<std::string_view> names;
  names.reserve(models.size());
  for (const ModelEntry& model : models) names.push_back(model.name);
  return {404, fmt::format("no model '{}'; served: {}", name, fmt::join(names, ", ")), "model",
          "model_not_found"};
}

void UseScheduler(ServedModel& served, Scheduler& scheduler) {
  served.submit = [&scheduler](Job job, std::shared_ptr<Listener> listener) {
    return scheduler.Submit(std::move(job), std::move(listener));
  };
  served.cancel = [&scheduler](uint64_t job) { scheduler.Cancel(job); };
  served.load = [&scheduler] {
    const SchedulerStatistics now = scheduler.statistics();
    return ServedLoad{
        .running = now.reading + now.writing, .places = now.places, .waiting = now.waiting};
  };
}

}  // namespace linnet
