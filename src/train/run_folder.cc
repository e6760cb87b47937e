#include "train/run_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <regex>
#include <system_error>
#include <utility>

#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

// The newest step with a complete checkpoint; -1 if the run has no checkpoints.
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
    // Otherwise it would count as one of the checkpoints to keep.
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

std::optional<Notes> LoadNewest(Learner& learner, World& world, const fs::path& run,
                                const std::function<void(const std::string&)>& say) {
  const int64_t step = world.FromFirst(world.index() == 0 ? NewestWhole(run, say) : 0);
  if (step < 0) return std::nullopt;
  return LoadTraining(learner, world, CheckpointPath(run, static_cast<uint64_t>(step)));
}

void RemoveUnfinished(const fs::path& run) {
  std::error_code error;
  std::vector<fs::path> unfinished;  // AtomicFile's names
  // The folder may also contain files of others.
  const std::regex name(
      R"((checkpoint-\d+|best|model|adapter|state|init|start|run|metrics)\.[a-z]+\.\d+\.\d+\.tmp)"
      R"(|validated\.tmp(\.\d+\.\d+\.tmp)?)");
  for (const auto& entry : fs::directory_iterator(run, error)) {
    if (std::regex_match(entry.path().filename().string(), name)) {
      unfinished.push_back(entry.path());
    }
  }
  for (const fs::path& path : unfinished) fs::remove(path, error);
}

void RunStart::Make() {
  std::error_code error;
  std::vector<fs::path> missing;  // the innermost first
  for (fs::path at = fs::absolute(run_, error).lexically_normal();
       !at.empty() && !fs::exists(at, error) && at != at.root_path(); at = at.parent_path()) {
    if (at.has_filename()) missing.push_back(at);
  }
  for (auto at = missing.rbegin(); at != missing.rend(); ++at) {
    if (fs::create_directory(*at, error)) folders_.push_back(*at);
    if (error) break;
  }
  if (fs::is_directory(run_)) return;
  throw Error(ErrorKind::kIo,
              fmt::format("{}: cannot be made: {}", run_.string(),
                          error ? error.message() : "a file of this name is in the way"));
}

RunStart::~RunStart() {
  if (succeeded_) return;
  std::error_code ignored;
  for (const fs::path& file : files_) fs::remove(file, ignored);
  // Folders that are not empty are kept.
  for (; !folders_.empty(); folders_.pop_back()) fs::remove(folders_.back(), ignored);
}

RunLock::RunLock(const fs::path& run) : fd_(open(run.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  if (fd_ < 0 || flock(fd_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return;
  close(fd_);
  throw Error(ErrorKind::kBadInput, run.string() + ": another run is being trained in it",
              Remedy::kOtherFolder);
}

RunLock::~RunLock() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace linnet
