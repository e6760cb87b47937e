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
#include "server/kept_states.h"
#include "server/metrics.h"
#include "server/model_pool.h"
#include "server/served_model.h"

namespace linnet::cli {

struct ServeModelOptions {
  CommonOptions common;
  std::vector<std::string> names;  // MODEL...; none: the built-in one
  // Holds more models, which are loaded when they are asked for; and the bytes that the weights of
  // all models may take, 0: no limit.
  std::filesystem::path models_dir;
  uint64_t memory_bytes = 0;
  std::filesystem::path state_folder, template_file;
  std::filesystem::path reranker;  // of the first model, which makes vectors; may be empty
  uint64_t cache_bytes = 0, disk_bytes = uint64_t{8} << 30;
  size_t max_running = 256, max_tokens = 4096;
  bool shared_cache = false, no_disk = false;
  SpeculationFlags speculation{};
  std::shared_ptr<KeptStates> kept_states{};  // of all models
};

class ServeModels {
 public:
  // Opens the models that are named. Shows progress. Throws what Model::Named and the chat
  // templates throw, Error kIo if `models_dir` is no folder, and CLI::ValidationError for two
  // models with the same name. `metrics` counts what they do and outlives them.
  ServeModels(const ServeModelOptions& options, Metrics& metrics);

  std::shared_ptr<const ServedModels> served() const { return pool_; }
  // Of a state of the largest model that is open: about what a request that brings one takes.
  uint64_t state_bytes() const;

  // Scheduler::Stop of all.
  void Stop(std::chrono::steady_clock::time_point until) { pool_->Stop(until); }
  // What the caches hold goes to disk.
  void Flush() { pool_->Flush(); }

 private:
  std::shared_ptr<ModelPool> pool_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_SERVE_MODELS_H_
