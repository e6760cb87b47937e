#include "cli/train_start.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <vector>

#include "base/atomic_file.h"
#include "base/memory.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "train/run_folder.h"
#include "train/run_memory.h"

namespace linnet::cli {
namespace {

namespace fs = std::filesystem;

double GB(uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

OutputKind ResultKind(const TrainFlags& o) {
  if (o.tune == "state") return TunedStateOutput();
  return o.tune == "lora" ? AdapterOutput() : ModelOutput();
}

// Files with fixed names that a run may write, in addition to its checkpoints.
std::vector<OutputFile> FilesOfRun(const TrainFlags& o) {
  const fs::path out = o.out;
  std::vector<OutputFile> files = {{out / "run.json", RunOptionsOutput()},
                                   {out / "metrics.jsonl", MetricsOutput()},
                                   {out / "best.safetensors", ResultKind(o)},
                                   {out / "validated.tmp", ModelOutput()}};
  if (o.base.empty()) files.push_back({out / "init.safetensors", ModelOutput()});
  if (TunesAdapter(o)) {
    files.push_back({out / "start.safetensors", ResultKind(o)});
    files.push_back(
        {out / (o.tune == "state" ? "state.pth" : "adapter.safetensors"), ResultKind(o)});
  } else {
    files.push_back({out / "model.safetensors", ModelOutput()});
    files.push_back({out / "model.pth", ModelOutput()});
  }
  return files;
}

bool AllLearns(const TrainFlags& o) { return o.tune == "full" && o.freeze.empty(); }

// The start file of the run, the most checkpoints that exist at a time, and its results.
uint64_t DiskBytes(const TrainFlags& o, const ParameterSizes& sizes, uint64_t steps) {
  const uint64_t values = sizes.learning * sizeof(float);
  uint64_t checkpoints = std::max<uint64_t>(1, (steps + o.every - 1) / o.every);
  // An old checkpoint is removed after the new one is complete and a step has succeeded.
  if (o.keep != 0) checkpoints = std::min<uint64_t>(checkpoints, o.keep + 1);
  const uint64_t result = o.precision == "f32" ? values : values / 2;
  const uint64_t results = TunesAdapter(o) ? 1 : 2;  // model.safetensors and model.pth
  return (o.base.empty() ? values : 0) + checkpoints * 3 * values + results * result;
}

// The nearest existing parent folder; the run will be on its disk.
fs::path ExistingFolder(fs::path at) {
  std::error_code error;
  at = fs::absolute(at, error).lexically_normal();
  while (!fs::is_directory(at, error) && at.has_parent_path() && at != at.parent_path()) {
    at = at.parent_path();
  }
  return at;
}

}  // namespace

void CheckFolder(const TrainFlags& o, const CommonOptions& common) {
  std::error_code error;
  if (fs::exists(o.out, error) && !fs::is_directory(o.out, error)) {
    throw Error(ErrorKind::kIo, o.out + ": is a file, expected the name of a folder");
  }
  if (!o.resume && !CheckpointSteps(o.out).empty()) {
    throw Error(ErrorKind::kBadInput,
                o.out + ": already holds a run; pass --resume to go on, or another --out");
  }
  for (const OutputFile& file : FilesOfRun(o)) CheckReplaces(common, file);
}

void CheckData(const TrainFlags& o, const CommonOptions& common, const TokenData& data,
               const Tokenizer* tokenizer, const Checkpoint* base) {
  if (data.vocabulary() && tokenizer != nullptr) {
    data.CheckVocabulary(*tokenizer, !common.vocab.empty() ? common.vocab
                                     : base != nullptr     ? o.base
                                                           : "the World models");
  } else if (data.vocabulary() && base != nullptr) {
    std::shared_ptr<const Tokenizer> own;
    try {
      own = TokenizerOf(*base, HomeFolder());
    } catch (const Error&) {  // unknown vocabulary, cannot be checked
    }
    const bool held = !base->stored_vocabulary().empty();
    if (own != nullptr) {
      data.CheckVocabulary(*own, held ? o.base : o.base + " by its size (--vocab names another)");
    }
  }
  data.CheckIds();
}

void CheckFits(const CommonOptions& common, uint64_t bytes, uint64_t available) {
  if (bytes <= available || common.force) return;
  throw Error(ErrorKind::kNoMemory,
              fmt::format("the run needs about {:.1f} GB more than the {:.1f} GB that are "
                          "available; lower --batch (and raise --accumulate), pass --recompute, "
                          "--chunk N, or --force to go on",
                          GB(bytes - available), GB(available)));
}

void CheckRoom(const TrainFlags& o, const CommonOptions& common, const RunSizes& run,
               const World& world) {
  if (common.force) return;
  const ParameterSizes sizes = run.base == nullptr
                                   ? SizesOfNew(run.config, run.learner)
                                   : SizesOfBase(*run.base, run.learner, TunesAdapter(o));
  if (sizes.learning == 0 && !TunesAdapter(o)) {
    throw Error(ErrorKind::kBadInput, "no parameter is left to learn", Remedy::kLearnMore);
  }
  const size_t share = std::max<size_t>(1, o.batch * o.accumulate / world.size());
  const size_t rows = o.chunk != 0 ? 1 : std::min(o.batch, share);
  const uint64_t available = AvailableMemory();
  uint64_t bytes = ParameterBytes(sizes, share, rows, world.size());
  CheckFits(common, bytes, available);
  // Passes take less memory if parameters are frozen. TrainProgress::Plan computes it exactly
  // later, so this check rejects only runs that Plan would also reject.
  if (AllLearns(o)) {
    bytes +=
        PassBytes(run.config, run.learner, rows, o.ctx, common.threads, sizes.learning) / 4 * 3;
    CheckFits(common, bytes, available);
  }
  if (world.index() == 0) {
    CheckSpace(ExistingFolder(o.out) / fs::path(o.out).filename(), DiskBytes(o, sizes, run.steps));
  }
}

}  // namespace linnet::cli
