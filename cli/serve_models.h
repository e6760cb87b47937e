// The models of `linnet serve`, each with its scheduler and its cache of states.
#ifndef LINNET_CLI_SERVE_MODELS_H_
#define LINNET_CLI_SERVE_MODELS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/speculation.h"
#include "engine/scheduler.h"
#include "engine/state_cache.h"
#include "linnet/model.h"
#include "linnet/tokenizer.h"
#include "server/metrics.h"
#include "server/served_model.h"

namespace linnet::cli {

struct ServeModelOptions {
  CommonOptions common;
  std::vector<std::string> names;  // MODEL...; none: the built-in one
  std::filesystem::path state_folder, template_file;
  uint64_t cache_bytes = 0, disk_bytes = uint64_t{8} << 30;
  size_t max_running = 256, max_tokens = 4096;
  bool shared_cache = false, no_disk = false;
  SpeculationFlags speculation{};
};

// A model that runs. The members are in the order in which they depend on each other.
struct RunningModel {
  std::string name;
  Model model;
  std::shared_ptr<const Tokenizer> tokenizer;
  Workspace workspace;
  std::unique_ptr<StateCache> cache;
  std::unique_ptr<Scheduler> scheduler;
};

class ServeModels {
 public:
  // Opens all of them. Shows progress. Throws what Model::Named and the chat templates throw, and
  // CLI::ValidationError for two models with the same name.
  // `metrics` counts what they do and outlives them.
  ServeModels(const ServeModelOptions& options, Metrics& metrics);

  std::shared_ptr<const ServedModels> served() const { return served_; }

  // Scheduler::Stop of all.
  void Stop(std::chrono::steady_clock::time_point until);
  // What the caches hold goes to disk.
  void Flush();

 private:
  std::vector<std::unique_ptr<RunningModel>> running_;
  std::shared_ptr<const ServedModels> served_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_SERVE_MODELS_H_
