#include "io/model_folder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <system_error>

#include "base/mapped_file.h"
#include "io/container.h"
#include "io/tensor_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

bool Exists(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

// ---- Training runs ----

// `linnet train` writes its options to this file before the first step.
bool HasRunOptions(const fs::path& folder) {
  constexpr uintmax_t kLargest = 1 << 20;
  const fs::path path = folder / "run.json";
  std::error_code error;
  if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > kLargest) return false;
  try {
    const MappedFile map(path);
    const auto json = nlohmann::json::parse(AsText(map.bytes()), nullptr, false);
    return json.is_object() && json.contains("options") && json.contains("data_hash");
  } catch (const Error&) {
    return false;
  }
}

// The metadata of a file; nullopt if it is truncated or not a checkpoint.
std::optional<std::map<std::string, std::string>> MetadataOf(const fs::path& path) {
  try {
    return TensorFile::Open(path).metadata();
  } catch (const Error&) {
    return std::nullopt;
  }
}

// The training step of a run's final model; nullopt if the file does not store it.
std::optional<uint64_t> StepOf(const fs::path& model) {
  const auto metadata = MetadataOf(model);
  if (!metadata || !metadata->contains(kStepsKey)) return std::nullopt;
  const std::string& text = metadata->at(kStepsKey);
  uint64_t step = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return step;
}

Error WithoutModel(const fs::path& run, bool parts) {
  const auto say = [&](const std::string& what) {
    return Error(ErrorKind::kIo, fmt::format("{}: {}", run.string(), what));
  };
  for (const auto& [name, use] : {std::pair{"adapter.safetensors", "apply {} to it"},
                                  std::pair{"state.pth", "start it from the state {}"}}) {
    if (!Exists(run / name)) continue;
    return say(fmt::format("a run that trained beside its base, not a model; open the base, and {}",
                           fmt::format(fmt::runtime(use), (run / name).string())));
  }
  if (Exists(run / "start.safetensors")) {
    return say("a run that trains an adapter or a state beside its base, not a model");
  }
  if (parts) {
    return say(
        "a run whose checkpoints hold only the parameters that learn; its model appears when it "
        "ends");
  }
  return say("a run that has saved no checkpoint yet; wait for the first one");
}

fs::path ModelOfRun(const fs::path& run) {
  fs::path model;
  std::optional<uint64_t> step;  // of `model`; a model without a step counts as the newest
  if (Exists(run / "model.safetensors")) {
    model = run / "model.safetensors";
    step = StepOf(model);
  } else if (Exists(run / "model.pth")) {
    model = run / "model.pth";
  }
  bool parts = false;
  auto steps = CheckpointSteps(run);
  for (; !steps.empty(); steps.pop_back()) {
    if (!model.empty() && (!step || steps.back() <= *step)) break;
    const fs::path checkpoint = CheckpointPath(run, steps.back());
    const auto metadata = MetadataOf(checkpoint);
    if (metadata && !metadata->contains(kPartKey)) return checkpoint;
    parts = parts || metadata;
  }
  if (model.empty()) throw WithoutModel(run, parts);
  return model;
}

// ---- Other folders ----

fs::path ReleasedModel(const fs::path& folder) {
  for (const char* name : {"model.safetensors.index.json", "model.safetensors",
                           "pytorch_model.bin.index.json", "pytorch_model.bin"}) {
    if (Exists(folder / name)) return folder / name;
  }
  std::set<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const auto ending = entry.path().extension();
    if (ending == ".safetensors" || ending == ".st" || ending == ".pth" || ending == ".gguf") {
      found.insert(entry.path());
    }
  }
  if (error) {
    throw Error(ErrorKind::kIo,
                fmt::format("{}: cannot list: {}", folder.string(), error.message()));
  }
  if (found.size() == 1) return *found.begin();
  throw Error(ErrorKind::kIo,
              fmt::format("{}: a folder with {} checkpoints, expected one, a "
                          "model.safetensors.index.json, or a training run; name the file",
                          folder.string(), found.size()));
}

}  // namespace

std::vector<uint64_t> CheckpointSteps(const fs::path& run) {
  std::vector<uint64_t> steps;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(run, error)) {
    unsigned long long step = 0;
    char end = 0;
    const std::string name = entry.path().filename().string();
    if (std::sscanf(name.c_str(), "checkpoint-%llu.safetensor%c", &step, &end) == 2 &&
        entry.path() == CheckpointPath(run, step)) {
      steps.push_back(step);
    }
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

fs::path CheckpointPath(const fs::path& run, uint64_t step) {
  return run / fmt::format("checkpoint-{:08}.safetensors", step);
}

fs::path ModelIn(const fs::path& folder) {
  const bool run = !CheckpointSteps(folder).empty() || HasRunOptions(folder);
  return run ? ModelOfRun(folder) : ReleasedModel(folder);
}

}  // namespace linnet
