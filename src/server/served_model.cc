#include "server/served_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/scheduler.h"

namespace linnet {
namespace {

// Of a ModelEntry or a ServedModel.
template <class M>
bool HasName(const M& model, std::string_view name) {
  const auto& others = model.other_names;
  return model.name == name || std::find(others.begin(), others.end(), name) != others.end();
}

}  // namespace

std::string_view WithoutTag(std::string_view name) {
  constexpr std::string_view kTag = ":latest";
  return name.ends_with(kTag) ? name.substr(0, name.size() - kTag.size()) : std::string_view();
}

const ModelEntry* FindEntry(std::span<const ModelEntry> models, std::string_view name) {
  for (const std::string_view wanted : {name, WithoutTag(name)}) {
    const auto found = std::find_if(models.begin(), models.end(), [&](const ModelEntry& model) {
      const auto& more = model.spellings;
      return HasName(model, wanted) || std::find(more.begin(), more.end(), wanted) != more.end();
    });
    if (found != models.end()) return &*found;
  }
  return nullptr;
}

ServedModels::ServedModels(std::vector<std::shared_ptr<const ServedModel>> models)
    : models_(std::move(models)) {
  LINNET_CHECK(!models_.empty());
}

std::shared_ptr<const ServedModel> ServedModels::FindIfServed(std::string_view name) const {
  if (auto found = FindNamed(name)) return found;
  const std::string_view plain = WithoutTag(name);
  return plain.empty() ? nullptr : FindNamed(plain);
}

std::shared_ptr<const ServedModel> ServedModels::Find(std::string_view name) const {
  if (auto found = FindIfServed(name)) return found;
  throw NoSuchModel(name, entries());
}

std::shared_ptr<const ServedModel> ServedModels::FindNamed(std::string_view name) const {
  if (name.empty()) return models_.front();
  for (const auto& model : models_) {
    if (HasName(*model, name)) return model;
  }
  return nullptr;
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
