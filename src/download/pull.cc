#include "download/pull.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <system_error>
#include <thread>
#include <utility>

#include "download/file_download.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

bool IsCheckpointName(const std::string& path) {
  for (const char* ending : {".pth", ".safetensors", ".st", ".gguf", ".bin"}) {
    if (path.ends_with(ending)) return true;
  }
  return false;
}

bool IsInRoot(const std::string& path) { return path.find('/') == path.npos; }

bool Holds(const std::vector<RemoteFile>& files, const char* path) {
  return std::any_of(files.begin(), files.end(),
                     [&](const RemoteFile& file) { return file.path == path; });
}

// The first of a released folder's names, and the ending of its weights; null if it has none.
const char* WeightsOfFolder(const std::vector<RemoteFile>& files) {
  if (Holds(files, "model.safetensors.index.json") || Holds(files, "model.safetensors")) {
    return ".safetensors";
  }
  if (Holds(files, "pytorch_model.bin.index.json") || Holds(files, "pytorch_model.bin")) {
    return ".bin";
  }
  return nullptr;
}

// Of the repository's root: weights, configuration, vocabulary. Code and pictures are not needed.
std::vector<RemoteFile> FolderFiles(const std::vector<RemoteFile>& files, const char* weights) {
  std::vector<RemoteFile> wanted;
  for (const RemoteFile& file : files) {
    const bool part =
        IsInRoot(file.path) && (file.path.ends_with(weights) || file.path.ends_with(".json") ||
                                file.path.ends_with(".txt"));
    if (part) wanted.push_back(file);
  }
  return wanted;
}

RemoteFile FileNamed(const std::vector<RemoteFile>& files, const HubName& name) {
  std::vector<const RemoteFile*> like;
  for (const RemoteFile& file : files) {
    if (file.path == name.file) return file;
    const fs::path path = file.path;
    const bool same = (path.parent_path() / path.stem()).string() == name.file;
    if (same && IsCheckpointName(file.path)) like.push_back(&file);
  }
  if (like.size() == 1) return *like[0];
  throw Error(
      ErrorKind::kBadInput,
      fmt::format("{}/{}: has {} '{}', expected one of its files", name.owner, name.repository,
                  like.empty() ? "no file" : "several files called", Quoted(name.file)));
}

Error Ambiguous(const HubName& name, const std::vector<RemoteFile>& files) {
  constexpr size_t kShown = 30;
  std::vector<std::string> names;
  for (const RemoteFile& file : files) {
    if (IsCheckpointName(file.path)) names.push_back(Quoted(file.path));
  }
  if (names.empty()) {
    return Error(ErrorKind::kBadInput,
                 fmt::format("{}: holds no checkpoint, expected .pth, .safetensors, .st, .gguf or "
                             ".bin",
                             name.Shown()));
  }
  // The newest name is the last one in most repositories.
  std::sort(names.begin(), names.end());
  const size_t count = names.size();
  if (count > kShown) names.erase(names.begin(), names.end() - kShown);
  return Error(ErrorKind::kBadInput,
               fmt::format("{}: holds {} checkpoints, name one as in {}/{}: {}{}", name.Shown(),
                           count, name.Shown(), names.back(), count > kShown ? "..., " : "",
                           fmt::join(names, ", ")));
}

class Pulling {
 public:
  Pulling(const std::string& text, const PullOptions& options)
      : options_(options), name_(ParseHubName(text)), hub_(options.hub) {
    if (name_.kind && *name_.kind != hub_.kind) {
      // What was set up for another hub does not fit.
      hub_ = Hub{.kind = *name_.kind, .endpoint = "", .token = ""};
    }
    revision_ = options.revision.empty() ? name_.revision : options.revision;
  }

  PulledModel Run() {
    Choose();
    const fs::path root = options_.plain_folder.empty()
                              ? options_.folder / name_.owner / name_.repository
                              : options_.plain_folder;
    if (root.empty()) {
      throw Error(ErrorKind::kIo, "there is no home folder to keep models in; name a folder");
    }
    PulledModel model;
    progress_.doing = PullProgress::Doing::kFetching;
    progress_.files = wanted_.size();
    for (const RemoteFile& file : wanted_) progress_.total += file.size.value_or(0);
    for (const RemoteFile& file : wanted_) model.files.push_back(FetchOne(file, root));
    model.path = name_.file.empty() ? root : root / Place(name_.file);
    model.name = name_.file.empty() ? name_.repository : fs::path(name_.file).stem().string();
    model.full_name = name_.Shown();
    model.hub = Name(hub_.kind);
    model.endpoint = EndpointOf(hub_);
    model.revision = revision_;
    model.time = static_cast<int64_t>(std::time(nullptr));
    if (options_.plain_folder.empty()) {
      model.record = name_.file.empty()
                         ? root / ".pulled.json"
                         : model.path.parent_path() /
                               fmt::format(".{}.pulled.json", model.path.filename().string());
      for (const PulledModel& old : PulledModels(options_.folder)) {
        if (old.record == model.record) model.other_names = old.other_names;
      }
      WriteRecord(model);
    }
    return model;
  }

 private:
  // Sets `wanted_`, and the whole name of a single file.
  void Choose() {
    Tell();
    HubPatience patience{options_.tries, options_.patience, options_.pause, [this] { Tell(); }};
    if (!patience.pause) patience.pause = [this](int seconds) { Sleep(seconds); };
    const auto files = ListFiles(hub_, name_, revision_, patience);
    if (!files) {
      if (name_.file.empty()) {
        throw Error(ErrorKind::kBadInput,
                    fmt::format("{}: this hub has no list of files for programs; write "
                                "OWNER/REPO/FILE",
                                name_.Shown()));
      }
      wanted_ = {FileOf(hub_, name_, revision_, name_.file)};
      return;
    }
    if (!name_.file.empty()) {
      wanted_ = {FileNamed(*files, name_)};
    } else if (const char* weights = WeightsOfFolder(*files)) {
      wanted_ = FolderFiles(*files, weights);
      return;
    } else {
      for (const RemoteFile& file : *files) {
        if (IsCheckpointName(file.path)) wanted_.push_back(file);
      }
      if (wanted_.size() != 1) throw Ambiguous(name_, *files);
    }
    name_.file = wanted_[0].path;
  }

  // Where a file goes below the root.
  fs::path Place(const std::string& path) const {
    return options_.plain_folder.empty() ? fs::path(path) : fs::path(path).filename();
  }

  PulledFile FetchOne(const RemoteFile& file, const fs::path& root) {
    const fs::path target = root / Place(file.path);
    std::error_code error;
    fs::create_directories(target.parent_path(), error);
    if (error) {
      throw Error(ErrorKind::kIo, fmt::format("{}: cannot be made: {}",
                                              target.parent_path().string(), error.message()));
    }
    progress_.file = file.path;
    progress_.sha256 = file.sha256 ? Hex(*file.sha256) : "";
    progress_.file_done = 0;
    progress_.file_total = file.size.value_or(0);
    ++progress_.number;
    const uint64_t before = progress_.done;
    FileDownloadOptions options;
    options.token = hub_.token;
    options.tries = options_.tries;
    options.patience = options_.patience;
    options.pause = options_.pause;
    const uint64_t unlisted = file.size ? 0 : progress_.total;
    options.progress = [this, before, unlisted, &file](uint64_t done, uint64_t total) {
      progress_.done = before + done;
      progress_.file_done = done;
      progress_.file_total = total;
      if (!file.size) progress_.total = unlisted + total;
      Tell();
    };
    const DownloadedFile done = DownloadFile(file, target, options);
    progress_.done = before + done.bytes;
    progress_.file_done = progress_.file_total = done.bytes;
    Tell();
    return {file.path, done.bytes, Hex(done.sha256), done.checked};
  }

  void Tell() const {
    if (options_.progress) options_.progress(progress_);
  }
  void Sleep(int seconds) const {
    for (int tenths = 0; tenths < 10 * seconds; ++tenths) {
      Tell();
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

  const PullOptions& options_;
  HubName name_;
  Hub hub_;
  std::string revision_;
  std::vector<RemoteFile> wanted_;
  PullProgress progress_;
};

}  // namespace

PulledModel PullModel(const std::string& name, const PullOptions& options) {
  return Pulling(name, options).Run();
}

}  // namespace linnet
