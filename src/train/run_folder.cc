#include "train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// The newest step whose checkpoint is whole; -1 if the run has none at all.
int64_t NewestWhole(const fs::path& run, const std::function<void(const std::string&)>& say) {
  std::vector<std::pair<fs::path, std::string>> damaged;
  auto steps = CheckpointSteps(run);
  for (; !steps.empty(); steps.pop_back()) {
    const fs::path path = CheckpointPath(run, steps.back());
    const std::string damage = DamageOf(path);
    if (damage.empty()) break;
    damaged.emplace_back(path, damage);
  }
  if (steps.empty() && !damaged.empty()) {
    throw Error(
        ErrorKind::kBadInput,
        fmt::format("{}: is damaged ({}), and no older checkpoint is whole; begin a new run "
                    "in another folder",
                    damaged.front().first.string(), damaged.front().second));
  }
  for (const auto& [path, damage] : damaged) {
    // Else it would count as one of those that the run keeps.
    fs::path aside = path;
    aside += ".damaged";
    std::error_code ignored;
    fs::rename(path, aside, ignored);
    say(fmt::format("{}: is damaged ({}) and set aside; going on from step {}", path.string(),
                    damage, steps.back()));
  }
  return steps.empty() ? -1 : static_cast<int64_t>(steps.back());
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

std::optional<Notes> LoadNewest(Learner& learner, World& world, const fs::path& run,
                                const std::function<void(const std::string&)>& say) {
  const int64_t step = world.FromFirst(world.index() == 0 ? NewestWhole(run, say) : 0);
  if (step < 0) return std::nullopt;
  return LoadTraining(learner, world, CheckpointPath(run, static_cast<uint64_t>(step)));
}

void RemoveUnfinished(const fs::path& run) {
  std::error_code error;
  std::vector<fs::path> unfinished;  // AtomicFile's names
  for (const auto& entry : fs::directory_iterator(run, error)) {
    if (entry.path().extension() == ".tmp") unfinished.push_back(entry.path());
  }
  for (const fs::path& path : unfinished) fs::remove(path, error);
}

RunLock::RunLock(const fs::path& run) : fd_(open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(fd_);
  throw Error(ErrorKind::kBadInput,
              run.string() +
                  ": another linnet train is at work in it; wait until it ends, or give "
                  "another --out");
}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace linnet
