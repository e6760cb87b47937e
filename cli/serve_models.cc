#include "cli/serve_models.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/memory.h"
#include "cli/model.h"
#include "cli/sampling.h"
#include "cli/trained_length.h"
#include "models/builtin_model.h"

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

std::unique_ptr<RunningModel> Open(const ServeModelOptions& o, const std::string& name,
                                   size_t models) {
  Model model = OpenModel(o.common, name);
  auto tokenizer = TokenizerFor(o.common, model);
  const std::string shown = NameOf(name, model.path());
  auto running = std::make_unique<RunningModel>(RunningModel{.name = shown,
                                                             .model = std::move(model),
                                                             .tokenizer = std::move(tokenizer),
                                                             .workspace = NewWorkspace(o.common),
                                                             .cache = nullptr,
                                                             .scheduler = nullptr});
  const std::string identity = running->model.Identity(
      running->workspace, {.tokenizer = running->tokenizer->Digest(), .cache = std::nullopt});
  CacheOptions cache;
  cache.memory_bytes = (o.cache_bytes > 0 ? o.cache_bytes : AvailableMemory() / 4) / models;
  cache.disk_bytes = o.disk_bytes;
  if (!o.state_folder.empty()) cache.folder = o.state_folder / "states";
  cache.log = [](const std::string& line) { Say("linnet: " + line + "\n"); };
  running->cache = std::make_unique<StateCache>(running->model.state_shape(), identity, cache);
  SchedulerOptions scheduler;
  scheduler.max_running = o.max_running;
  const SpeculationOptions guesses = SpeculationFor(o.common, o.speculation, running->model);
  scheduler.guesses = guesses.most;
  scheduler.draft = guesses.draft;
  running->scheduler = std::make_unique<Scheduler>(
      running->model, running->tokenizer, running->workspace, running->cache.get(), scheduler);
  return running;
}

std::shared_ptr<const ServedModel> Serve(const ServeModelOptions& o, const std::string& name,
                                         RunningModel& running, Metrics& metrics) {
  const auto served = std::make_shared<ServedModel>();
  const bool built_in = MeansBuiltIn(name);
  Sampling chat = ChatSampling(built_in), text = TextSampling(built_in);
  const size_t vocab = running.model.config().vocab;
  FitSampling(chat, *running.tokenizer, vocab);
  FitSampling(text, *running.tokenizer, vocab);
  served->name = running.name;
  served->created = TimeOf(running.model.path());
  served->model = &running.model;
  served->tokenizer = running.tokenizer;
  served->vocab = vocab;
  served->chat_template =
      o.template_file.empty()
          ? std::shared_ptr<const ChatTemplate>(
                &ChatTemplate::For(running.model.config().generation, *running.tokenizer),
                [](const ChatTemplate*) {})
          : std::make_shared<const ChatTemplate>(ChatTemplate::Load(o.template_file));
  served->think = served->chat_template->default_think();
  served->chat_sampling = chat.options;
  served->text_sampling = text.options;
  served->max_tokens = o.max_tokens;
  if (const size_t length = TrainedLength(running.model.path()); length > 0) {
    served->context_length = length;
  }
  served->cache = running.cache.get();
  UseScheduler(*served, *running.scheduler);
  metrics.AddModel(
      running.name, [&running] { return running.scheduler->statistics(); },
      [&running] { return running.cache->statistics(); });
  metrics.Measure(*served);
  return served;
}

}  // namespace

ServeModels::ServeModels(const ServeModelOptions& options, Metrics& metrics) {
  std::vector<std::string> names = options.names;
  if (names.empty()) names.emplace_back(kBuiltInName);
  std::vector<std::shared_ptr<const ServedModel>> served;
  running_.reserve(names.size());
  served.reserve(names.size());
  for (const std::string& name : names) {
    running_.push_back(Open(options, name, names.size()));
    for (const auto& other : served) {
      if (other->name != running_.back()->name) continue;
      throw CLI::ValidationError(
          "MODEL",
          fmt::format("two models are called '{}', expected names that differ", other->name));
    }
    served.push_back(Serve(options, name, *running_.back(), metrics));
  }
  served_ = std::make_shared<const ServedModels>(std::move(served));
}

void ServeModels::Stop(std::chrono::steady_clock::time_point until) {
  for (const auto& model : running_) model->scheduler->Stop(until);
}

void ServeModels::Flush() {
  for (const auto& model : running_) model->cache->Flush();
}

}  // namespace linnet::cli
