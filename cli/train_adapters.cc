// linnet train --tune lora|state: trains an adapter or state for a frozen model.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <regex>

#include "cli/model.h"
#include "cli/progress.h"
#include "cli/train.h"
#include "linnet/error.h"
#include "train/new_adapter.h"
#include "train/training_file.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

NewAdapterOptions OptionsOf(const TrainFlags& o) {
  NewAdapterOptions options;
  options.kind = *ParseAdapterKind(o.adapter);
  options.rank = o.rank;
  options.alpha = o.alpha;
  options.seed = o.seed;
  options.targets = [targets = ParseRegex("--targets", o.targets)](const std::string& name) {
    return std::regex_search(name, *targets);
  };
  return options;
}

}  // namespace

bool TunesAdapter(const TrainFlags& o) { return o.tune == "lora" || o.tune == "state"; }

std::optional<Adapter> StartAdapter(const TrainFlags& o, const Checkpoint& base, ThreadPool& pool,
                                    World& world, RunStart& start) {
  if (!TunesAdapter(o)) return std::nullopt;
  const fs::path path = fs::path(o.out) / "start.safetensors";
  // A resumed run has the same start file.
  if (world.index() == 0 && !(o.resume && fs::exists(path))) {
    if (o.tune == "state") {
      WriteNewStates(base, path);
    } else {
      constexpr uint64_t kSteps = 1000;
      NewAdapterOptions options = OptionsOf(o);
      Progress progress("factors", kSteps);
      options.progress = [&](double done) {
        InterruptScope::Check();
        progress.Update(static_cast<uint64_t>(done * static_cast<double>(kSteps)));
      };
      WriteNewAdapter(base, options, pool, path);
    }
    start.Made(path);
  }
  world.FromFirst(0);  // the file exists now
  return Adapter(path, base);
}

void TuneAdapter(const TrainFlags& o, const Adapter& adapter, RunOptions& run) {
  run.results = {o.tune == "state" ? "state.pth" : "adapter.safetensors"};
  // With bf16, products read the rounded factors, so the file equals what was validated.
  run.save = [&adapter, type = run.model_type](const Network& network, const fs::path& path) {
    SaveAdapter(network, adapter.file(), path, type);
  };
}

void SetUsualRates(const TrainFlags& o, Schedule& schedule) {
  if (o.base.empty()) return;             // a new model: the schedule's own
  schedule.first = schedule.last = 1e-5;  // RWKV-LM's advice for whole models
  if (o.tune == "lora") schedule.first = schedule.last = 1e-4;
  if (o.tune == "state") {  // RWKV-LM's advice for states
    schedule.first = 1;
    schedule.last = 0.01;
  }
}

void AddAdapterOptions(CLI::App& c, TrainFlags& o) {
  c.add_option("--adapter", o.adapter, "The kind of adapter, with --tune lora")
      ->capture_default_str()
      ->check(CLI::IsMember({"lora", "pissa", "disha"}));
  c.add_option("--rank", o.rank, "The rank of the adapter")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 14));
  c.add_option("--alpha", o.alpha, "LoRA's alpha; the factor is alpha / rank")
      ->capture_default_str();
  c.add_option("--targets", o.targets, "The matrices to adapt")
      ->type_name("REGEX")
      ->capture_default_str();
}

}  // namespace linnet::cli
