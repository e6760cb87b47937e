#include "cli/serve_models.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "base/memory.h"
#include "base/sha256.h"
#include "cli/model.h"
#include "cli/sampling.h"
#include "cli/trained_length.h"
#include "download/hub.h"
#include "download/pulled_models.h"
#include "engine/embedder.h"
#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "io/tensor_file.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "models/builtin_model.h"
#include "models/reranker.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

std::string NameOf(const std::string& model, const fs::path& file) {
  if (MeansBuiltIn(model)) return std::string(kBuiltInName);
  const fs::path given(model);
  // A folder is what its user calls the model; the file in it may be `model.safetensors`.
  if (fs::is_directory(given)) {
    const fs::path folder = fs::absolute(given).lexically_normal();
    return (folder.has_filename() ? folder : folder.parent_path()).filename().string();
  }
  return file.stem().string();
}

int64_t TimeOf(const fs::path& file) {
  struct stat status = {};
  return stat(file.c_str(), &status) == 0 ? static_cast<int64_t>(status.st_mtime)
                                          : static_cast<int64_t>(std::time(nullptr));
}

// A model that runs, and what requests see of it. The members are in the order in which they depend
// on each other.
struct RunningModel {
  Model model;
  std::shared_ptr<const Tokenizer> tokenizer;
  Workspace workspace;
  std::unique_ptr<StateCache> cache;
  std::unique_ptr<Scheduler> scheduler;
  ServedModel served;
  std::optional<Reranker> reranker{};
  std::optional<Workspace> reranker_workspace{};
};

// The statistics of models by name, of those that are in memory.
class RunningModels {
 public:
  explicit RunningModels(Metrics& metrics) : metrics_(metrics) {}

  void Add(const std::shared_ptr<RunningModel>& running) {
    const std::string name = running->served.name;
    {
      const std::lock_guard lock(mutex_);
      running_[name] = running;
    }
    if (!known_.insert(name).second) return;
    metrics_.AddModel(
        name, [this, name] { return Of<SchedulerStatistics>(name, &RunningModel::scheduler); },
        [this, name] { return Of<CacheStatistics>(name, &RunningModel::cache); });
  }
  Metrics& metrics() { return metrics_; }

 private:
  template <class Statistics, class Part>
  Statistics Of(const std::string& name, Part RunningModel::*part) {
    std::shared_ptr<RunningModel> running;
    {
      const std::lock_guard lock(mutex_);
      running = running_[name].lock();
    }
    return running == nullptr ? Statistics() : ((*running).*part)->statistics();
  }

  Metrics& metrics_;
  std::mutex mutex_;  // of the next
  std::map<std::string, std::weak_ptr<RunningModel>> running_;
  std::set<std::string> known_;  // by one thread at a time
};

// A folder of states belongs to one cache. That of the first model keeps its old name.
fs::path CacheFolder(const ServeModelOptions& o, const std::string& name, bool first) {
  if (o.state_folder.empty()) return {};
  if (first) return o.state_folder / "states";
  return o.state_folder / ("states-" + Hex(Sha256Of(name)).substr(0, 16));
}

std::shared_ptr<RunningModel> Open(const ServeModelOptions& o, const std::string& given,
                                   const std::string& name, bool first) {
  Model model = OpenModel(o.common, given);
  auto tokenizer = TokenizerFor(o.common, model);
  auto running = std::make_shared<RunningModel>(RunningModel{.model = std::move(model),
                                                             .tokenizer = std::move(tokenizer),
                                                             .workspace = NewWorkspace(o.common),
                                                             .cache = nullptr,
                                                             .scheduler = nullptr,
                                                             .served = {}});
  ServedModel& served = running->served;
  served.embedder = std::make_shared<const Embedder>(running->model, running->tokenizer);
  if (first && !o.reranker.empty()) {
    running->reranker.emplace(o.reranker, running->model);
    running->reranker_workspace.emplace(
        WorkspaceOptions{.threads = o.common.threads, .exact = o.common.exact});
    // Owned by the model that is served.
    served.rerank = [&own = *running](const State& state) {
      return own.reranker->Score(state, *own.reranker_workspace);
    };
  }
  served.identity = running->model.Identity(
      running->workspace, {.tokenizer = running->tokenizer->Digest(), .cache = std::nullopt});
  CacheOptions cache;
  const size_t models = std::max<size_t>(o.names.size(), 1) + (o.models_dir.empty() ? 0 : 1);
  cache.memory_bytes = (o.cache_bytes > 0 ? o.cache_bytes : AvailableMemory() / 4) / models;
  cache.disk_bytes = o.disk_bytes;
  cache.folder = CacheFolder(o, name, first);
  cache.log = [](const std::string& line) { Say("linnet: " + line + "\n"); };
  running->cache =
      std::make_unique<StateCache>(running->model.state_shape(), served.identity, cache);
  SchedulerOptions scheduler;
  scheduler.max_running = o.max_running;
  const SpeculationOptions guesses = SpeculationFor(o.common, o.speculation, running->model);
  scheduler.guesses = guesses.most;
  scheduler.draft = guesses.draft;
  running->scheduler = std::make_unique<Scheduler>(
      running->model, running->tokenizer, running->workspace, running->cache.get(), scheduler);
  served.name = name;
  return running;
}

void Serve(const ServeModelOptions& o, bool built_in, RunningModel& running, Metrics& metrics) {
  Sampling chat = ChatSampling(built_in), text = TextSampling(built_in);
  const size_t vocab = running.model.config().vocab;
  FitSampling(chat, *running.tokenizer, vocab);
  FitSampling(text, *running.tokenizer, vocab);
  ServedModel& served = running.served;
  served.created = TimeOf(running.model.path());
  served.model = &running.model;
  served.tokenizer = running.tokenizer;
  served.vocab = vocab;
  served.chat_template =
      o.template_file.empty()
          ? std::shared_ptr<const ChatTemplate>(
                &ChatTemplate::For(running.model.config().generation, *running.tokenizer),
                [](const ChatTemplate*) {})
          : std::make_shared<const ChatTemplate>(ChatTemplate::Load(o.template_file));
  served.think = served.chat_template->default_think();
  served.chat_sampling = chat.options;
  served.text_sampling = text.options;
  served.max_tokens = o.max_tokens;
  if (const size_t length = TrainedLength(running.model.path()); length > 0) {
    served.context_length = length;
  }
  served.cache = running.cache.get();
  served.states = o.kept_states;
  UseScheduler(served, *running.scheduler);
  metrics.Measure(served);
}

LoadedModel Load(const ServeModelOptions& o, const std::string& given, const std::string& name,
                 bool first, const std::shared_ptr<RunningModels>& all) {
  const auto running = Open(o, given, name, first);
  Serve(o, MeansBuiltIn(given), *running, all->metrics());
  all->Add(running);
  return {.served = {running, &running->served},
          .bytes = running->model.cost().matrix_bytes,
          .stop =
              [weak = std::weak_ptr(running)](auto until) {
                if (const auto model = weak.lock()) model->scheduler->Stop(until);
              },
          .flush =
              [weak = std::weak_ptr(running)] {
                if (const auto model = weak.lock()) model->cache->Flush();
              }};
}

uint64_t BytesOf(const fs::path& path) {
  std::error_code ignored;
  uint64_t bytes = 0;
  for (const fs::path& file : FilesOf(path)) bytes += fs::file_size(file, ignored);
  return bytes;
}

// The models in the folder by the names of their files, and in its folders as FOLDER/NAME. Links
// that lead out of it are left out.
class ModelsFolder {
 public:
  explicit ModelsFolder(const fs::path& folder) {
    std::error_code failed;
    folder_ = fs::canonical(folder, failed);
    if (failed || !fs::is_directory(folder_, failed)) {
      throw Error(ErrorKind::kIo, folder.string() + ": is no folder of models");
    }
  }

  struct Found {
    std::string name;
    fs::path path;
    std::vector<std::string> other_names{}, spellings{};
  };
  std::vector<Found> List() const {
    std::vector<Found> found;
    ListIn(folder_, "", found);
    AddPulled(found);
    std::sort(found.begin(), found.end(),
              [](const Found& a, const Found& b) { return a.name < b.name; });
    return found;
  }

 private:
  // Those that were pulled into the folder have short names and the hub's.
  void AddPulled(std::vector<Found>& found) const {
    const auto pulled = PulledModels(folder_);
    std::map<std::string, size_t> of_repository;
    const auto repository = [](const PulledModel& model) {
      const HubName name = ParseHubName(model.full_name);
      return name.owner + "/" + name.repository;
    };
    for (const PulledModel& model : pulled) ++of_repository[repository(model)];
    for (const PulledModel& model : pulled) {
      std::error_code gone;
      const fs::path path = fs::canonical(model.path, gone);
      if (gone || !Inside(path)) continue;
      auto at = std::find_if(found.begin(), found.end(),
                             [&](const Found& one) { return one.path == path; });
      const bool taken = std::any_of(found.begin(), found.end(), [&](const Found& one) {
        return one.name == model.name && one.path != path;
      });
      if (at == found.end()) at = found.insert(found.end(), {.name = "", .path = path});
      at->name = taken ? model.full_name : model.name;
      at->other_names = model.other_names;
      at->spellings = model.Spellings(of_repository[repository(model)] == 1);
    }
  }
  void ListIn(const fs::path& folder, const std::string& prefix, std::vector<Found>& found) const {
    std::error_code failed;
    for (fs::directory_iterator at(folder, failed), end; !failed && at != end;
         at.increment(failed)) {
      std::error_code gone;
      const fs::path path = fs::canonical(at->path(), gone);
      if (gone || !Inside(path)) continue;
      const std::string file = at->path().filename().string();
      if (file.starts_with('.')) continue;
      if (fs::is_directory(path, gone)) {
        if (IsModelFolder(path)) {
          found.push_back({prefix + file, path});
        } else if (prefix.empty()) {
          ListIn(path, file + "/", found);
        }
      } else if (fs::is_regular_file(path, gone) && IsCheckpoint(path)) {
        found.push_back({prefix + at->path().stem().string(), path});
      }
    }
  }
  bool Inside(const fs::path& path) const {
    const auto end = std::mismatch(folder_.begin(), folder_.end(), path.begin(), path.end());
    return end.first == folder_.end();
  }
  static bool IsModelFolder(const fs::path& path) {
    for (const char* file :
         {"config.json", "model.safetensors", "model.safetensors.index.json", "run.json"}) {
      std::error_code ignored;
      if (fs::exists(path / file, ignored)) return true;
    }
    return false;
  }

  fs::path folder_;
};

// The name that the model will have, before it is opened.
std::string NameFor(const std::string& given) {
  if (MeansBuiltIn(given)) return std::string(kBuiltInName);
  const auto files = FilesOf(given);
  return NameOf(given, files.empty() ? fs::path(given) : files.front());
}

}  // namespace

ServeModels::ServeModels(const ServeModelOptions& options, Metrics& metrics) {
  // The sources outlive this constructor's argument.
  const auto o = std::make_shared<const ServeModelOptions>(options);
  const auto running = std::make_shared<RunningModels>(metrics);
  std::vector<std::string> given = o->names;
  if (given.empty()) given.emplace_back(kBuiltInName);
  ModelPoolOptions pool;
  pool.memory_bytes = o->memory_bytes;
  for (const std::string& model : given) {
    const std::string name = NameFor(model);
    for (const ModelSource& other : pool.sources) {
      if (other.name != name) continue;
      throw CLI::ValidationError(
          "MODEL", fmt::format("two models are called '{}', expected names that differ", name));
    }
    const bool first = pool.sources.empty();
    pool.sources.push_back({.name = name, .kept = true, .open = [o, model, name, first, running] {
                              return Load(*o, model, name, first, running);
                            }});
  }
  if (!o->models_dir.empty()) {
    pool.scan = [o, running, folder = ModelsFolder(o->models_dir)] {
      std::vector<ModelSource> sources;
      for (const ModelsFolder::Found& model : folder.List()) {
        sources.push_back({.name = model.name,
                           .other_names = model.other_names,
                           .spellings = model.spellings,
                           .created = TimeOf(model.path),
                           .bytes = BytesOf(model.path),
                           .open = [o, running, name = model.name, path = model.path] {
                             return Load(*o, path.string(), name, false, running);
                           }});
      }
      return sources;
    };
  }
  pool_ = std::make_shared<ModelPool>(std::move(pool));
}

uint64_t ServeModels::state_bytes() const {
  uint64_t most = 0;
  for (const auto& served : pool_->all()) {
    const uint64_t floats = served->model->state_shape().floats() + served->vocab;
    most = std::max<uint64_t>(most, floats * sizeof(float));
  }
  return most;
}

}  // namespace linnet::cli
