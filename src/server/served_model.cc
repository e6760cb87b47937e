#include "server/served_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/scheduler.h"
#include "server/openai_errors.h"

namespace linnet {

ServedModels::ServedModels(std::vector<std::shared_ptr<const ServedModel>> models)
    : models_(std::move(models)) {
  LINNET_CHECK(!models_.empty());
}

std::shared_ptr<const ServedModel> ServedModels::Find(std::string_view name) const {
  if (name.empty()) return models_.front();
  for (const auto& model : models_) {
    const auto& others = model->other_names;
    if (model->name == name || std::find(others.begin(), others.end(), name) != others.end()) {
      return model;
    }
  }
  std::vector<std::string_view> names;
  names.reserve(models_.size());
  for (const auto& model : models_) names.push_back(model->name);
  throw RequestError(404, fmt::format("no model '{}'; served: {}", name, fmt::join(names, ", ")),
                     "model", "model_not_found");
}

void UseScheduler(ServedModel& served, Scheduler& scheduler) {
  served.submit = [&scheduler](Job job, std::shared_ptr<Listener> listener) {
    return scheduler.Submit(std::move(job), std::move(listener));
  };
  served.cancel = [&scheduler](uint64_t job) { scheduler.Cancel(job); };
}

}  // namespace linnet
