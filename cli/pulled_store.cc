#include "cli/pulled_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <string_view>
#include <system_error>
#include <utility>

#include "cli/hub_environment.h"
#include "download/pull.h"
#include "io/quoted.h"
#include "linnet/error.h"
#include "server/openai_errors.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMostPulls = 4;
constexpr size_t kLongestName = 128;

// Ollama's clients add a tag.
std::string Untagged(const std::string& name) {
  const std::string_view plain = WithoutTag(name);
  return plain.empty() ? name : std::string(plain);
}

bool IsModelName(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./").find(c) != std::string_view::npos;
  };
  return !name.empty() && name.size() <= kLongestName && name.front() != '-' &&
         std::all_of(name.begin(), name.end(), good);
}

PullStatus ToldOf(const PullProgress& now) {
  if (now.doing == PullProgress::Doing::kListing) return {.status = "pulling manifest"};
  return {.status = "pulling " + Quoted(now.file),
          .digest = now.sha256.empty() ? "" : "sha256:" + now.sha256,
          .total = now.file_total,
          .completed = now.file_done};
}

bool IsSamePull(const PullStatus& a, const PullStatus& b) {
  return a.status == b.status && a.digest == b.digest && a.total == b.total &&
         a.completed == b.completed;
}

RequestError NotPulled(const std::string& name, const ServedModels& models) {
  const auto entries = models.entries();
  if (FindEntry(entries, name) == nullptr) return NoSuchModel(name, entries);
  return {400,
          fmt::format("model '{}' was not pulled into --models-dir: its file is the operator's",
                      Quoted(name)),
          "model", "not_pulled"};
}

PulledModel PulledNamed(const fs::path& folder, const std::string& name,
                        const ServedModels& models) {
  auto model = FindPulled(folder, name);
  if (!model) throw NotPulled(name, models);
  return *std::move(model);
}

}  // namespace

struct PulledStore::Running {
  std::string name;
  std::thread thread{};
  std::atomic<bool> stop = false, ended = false;
};

PulledStore::PulledStore(const fs::path& folder, std::shared_ptr<const ServedModels> models)
    : folder_(fs::canonical(folder)), models_(std::move(models)) {}

PulledStore::~PulledStore() { Stop(); }

void PulledStore::Stop() {
  std::list<std::shared_ptr<Running>> running;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    running.swap(running_);
  }
  for (const auto& pull : running) pull->stop = true;
  for (const auto& pull : running) pull->thread.join();
}

void PulledStore::JoinEnded() {
  for (auto at = running_.begin(); at != running_.end();) {
    if (!(*at)->ended) {
      ++at;
      continue;
    }
    (*at)->thread.join();
    at = running_.erase(at);
  }
}

// A link in the folder may lead out of it.
void PulledStore::CheckPlace(const std::string& owner, const std::string& repository) const {
  std::error_code failed;
  const fs::path place = fs::weakly_canonical(folder_ / owner / repository, failed);
  const auto end = std::mismatch(folder_.begin(), folder_.end(), place.begin(), place.end());
  if (!failed && end.first == folder_.end()) return;
  throw Error(ErrorKind::kBadInput,
              fmt::format("{}/{} leads out of the folder of models", owner, repository));
}

void PulledStore::Pull(const std::string& given, PullEvents events) {
  const std::string name = Untagged(given);
  const HubName parts = ParseHubName(name);
  CheckPlace(parts.owner, parts.repository);
  PullOptions options;
  options.hub = HubOfEnvironment(parts.kind);
  options.folder = folder_;
  const std::lock_guard lock(mutex_);
  if (stopping_) throw Error(ErrorKind::kBusy, "the server is stopping");
  JoinEnded();
  const std::string shown = parts.Shown();
  for (const auto& other : running_) {
    if (other->name != shown) continue;
    throw RequestError(409, fmt::format("model '{}' is being pulled already", shown), "model",
                       "model_pulling");
  }
  if (running_.size() >= kMostPulls) {
    throw Error(ErrorKind::kBusy, fmt::format("{} models are being pulled already", kMostPulls));
  }
  auto pull = std::make_shared<Running>();
  pull->name = shown;
  options.progress = [pull, events, last = PullStatus()](const PullProgress& now) mutable {
    if (pull->stop || (events.cancelled && events.cancelled())) {
      throw Error(ErrorKind::kIo, "the pull was stopped; the next one goes on where it was");
    }
    PullStatus status = ToldOf(now);
    if (!events.progress || IsSamePull(status, last)) return;
    events.progress(status);
    last = std::move(status);
  };
  pull->thread = std::thread([pull, name, events, options = std::move(options)] {
    std::unique_ptr<const Error> failure;
    try {
      PullModel(name, options);
    } catch (const Error& error) {
      // The hub's fault, which the client shall read; other faults of files are the log's.
      failure = error.kind() == ErrorKind::kIo
                    ? std::make_unique<const RequestError>(502, error.what(), "", "pull_failed")
                    : std::make_unique<const Error>(error);
    } catch (const std::exception& error) {
      failure = std::make_unique<const RequestError>(502, error.what(), "", "pull_failed");
    }
    events.done(failure.get());
    pull->ended = true;
  });
  running_.push_back(std::move(pull));
}

void PulledStore::Copy(const std::string& source, const std::string& destination) {
  const std::string name = Untagged(destination);
  if (!IsModelName(name)) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("destination is '{}', expected at most {} letters, digits and -_./",
                            Quoted(destination), kLongestName));
  }
  const std::lock_guard lock(mutex_);
  PulledModel model = PulledNamed(folder_, Untagged(source), *models_);
  if (FindEntry(models_->entries(), name) != nullptr) {
    throw Error(ErrorKind::kBadInput, fmt::format("there is a model '{}' already", name));
  }
  model.other_names.push_back(name);
  WriteRecord(model);
}

void PulledStore::Delete(const std::string& given) {
  const std::string name = Untagged(given);
  const std::lock_guard lock(mutex_);
  PulledModel model = PulledNamed(folder_, name, *models_);
  if (std::erase(model.other_names, name) > 0) {
    WriteRecord(model);
    return;
  }
  if (!model.other_names.empty()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("model '{}' has another name, '{}': delete that first", name,
                            model.other_names.front()));
  }
  const auto entries = models_->entries();
  const ModelEntry* entry = FindEntry(entries, model.full_name);
  if (entry != nullptr && entry->served != nullptr) {
    throw RequestError(
        409, fmt::format("model '{}' is loaded: POST /v1/admin/models/unload first", entry->name),
        "model", "model_loaded");
  }
  JoinEnded();
  const HubName parts = ParseHubName(model.full_name);
  for (const auto& pull : running_) {
    const HubName theirs = ParseHubName(pull->name);
    if (theirs.owner != parts.owner || theirs.repository != parts.repository) continue;
    throw RequestError(409, fmt::format("model '{}' is being pulled", name), "model",
                       "model_pulling");
  }
  CheckPlace(parts.owner, parts.repository);
  RemovePulled(folder_, model);
}

}  // namespace linnet::cli
