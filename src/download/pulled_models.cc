#include "download/pulled_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <tuple>
#include <utility>

#include "base/atomic_file.h"
#include "base/user_folders.h"
#include "download/hub.h"
#include "io/quoted.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRecordEnding = ".pulled.json";
constexpr size_t kRecordBytes = 4 << 20;
constexpr int kDepth = 8;  // of folders below that of all models

std::string WithoutEnding(const std::string& file) {
  return (fs::path(file).parent_path() / fs::path(file).stem()).string();
}

// Throws nlohmann's exceptions for a wrong type.
PulledModel ReadRecord(const fs::path& folder, const fs::path& record) {
  std::ifstream in(record, std::ios::binary);
  std::string text(kRecordBytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(in.gcount()));
  const auto fields = nlohmann::json::parse(text);
  PulledModel model;
  model.record = record;
  model.full_name = fields.at("name").get<std::string>();
  model.hub = fields.value("hub", "");
  model.endpoint = fields.value("endpoint", "");
  model.revision = fields.value("revision", "");
  model.time = fields.value("time", int64_t{0});
  model.other_names = fields.value("other_names", std::vector<std::string>());
  const HubName name = ParseHubName(model.full_name);
  const fs::path repository = folder / name.owner / name.repository;
  for (const auto& entry : fields.at("files")) {
    PulledFile file;
    file.path = entry.at("path").get<std::string>();
    file.bytes = entry.at("bytes").get<uint64_t>();
    file.sha256 = entry.value("sha256", "");
    file.checked = entry.value("checked", false);
    if (!IsSafePath(file.path) || !fs::is_regular_file(repository / file.path)) return {};
    model.files.push_back(std::move(file));
  }
  if (model.files.empty()) return {};
  model.path = name.file.empty() ? repository : repository / name.file;
  model.name = name.file.empty() ? name.repository : fs::path(name.file).stem().string();
  return model;
}

std::string RepositoryOf(const PulledModel& model) {
  const HubName name = ParseHubName(model.full_name);
  return name.owner + "/" + name.repository;
}

}  // namespace

uint64_t PulledModel::bytes() const {
  uint64_t sum = 0;
  for (const PulledFile& file : files) sum += file.bytes;
  return sum;
}

fs::path PulledModelsFolder() {
  const char* const given = std::getenv("HOME");
  fs::path home = given != nullptr && *given == '/' ? fs::path(given) : HomeInDatabase();
  const fs::path data = XdgFolder("XDG_DATA_HOME", home, ".local/share");
  return data.empty() ? data : data / "models";
}

std::vector<PulledModel> PulledModels(const fs::path& folder) {
  std::vector<PulledModel> models;
  std::error_code error;
  if (folder.empty()) return models;
  fs::recursive_directory_iterator entries(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entries != end;
       entries.increment(error)) {
    if (entries.depth() >= kDepth) entries.disable_recursion_pending();
    const std::string name = entries->path().filename().string();
    if (!name.starts_with('.') || !name.ends_with(kRecordEnding)) continue;
    try {
      PulledModel model = ReadRecord(folder, entries->path());
      if (!model.files.empty()) models.push_back(std::move(model));
    } catch (const std::exception&) {
      continue;  // it is like no record
    }
  }
  std::sort(models.begin(), models.end(), [](const PulledModel& a, const PulledModel& b) {
    return std::tie(a.name, a.full_name) < std::tie(b.name, b.full_name);
  });
  return models;
}

std::vector<std::string> PulledModel::Spellings(bool alone) const {
  std::vector<std::string> names = {full_name};
  const HubName parts = ParseHubName(full_name);
  if (!parts.file.empty()) {
    names.push_back(WithoutEnding(full_name));
    names.push_back(fs::path(full_name).filename().string());
    if (alone) names.push_back(RepositoryOf(*this));
  }
  return names;
}

std::optional<PulledModel> FindPulled(const fs::path& folder, std::string_view name) {
  std::vector<PulledModel> found, in_repository;
  const auto holds = [&](const std::vector<std::string>& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  for (PulledModel& model : PulledModels(folder)) {
    if (name == model.name || holds(model.other_names) || holds(model.Spellings(false))) {
      found.push_back(std::move(model));
    } else if (name == RepositoryOf(model)) {
      in_repository.push_back(std::move(model));
    }
  }
  if (found.empty()) found = std::move(in_repository);
  if (found.size() > 1) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("'{}' means {} and {}; write the whole name", Quoted(name),
                            found[0].full_name, found[1].full_name));
  }
  if (found.empty()) return std::nullopt;
  return std::move(found[0]);
}

void WriteRecord(const PulledModel& model) {
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const PulledFile& file : model.files) {
    files.push_back({{"path", file.path},
                     {"bytes", file.bytes},
                     {"sha256", file.sha256},
                     {"checked", file.checked}});
  }
  nlohmann::ordered_json fields = {{"version", 1},
                                   {"name", model.full_name},
                                   {"hub", model.hub},
                                   {"endpoint", model.endpoint},
                                   {"revision", model.revision},
                                   {"time", model.time},
                                   {"files", std::move(files)}};
  if (!model.other_names.empty()) fields["other_names"] = model.other_names;
  AtomicFile file(model.record);
  file.Write(fields.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  file.Commit();
}

void RemovePulled(const fs::path& folder, const PulledModel& model) {
  const HubName name = ParseHubName(model.full_name);
  const fs::path repository = folder / name.owner / name.repository;
  const auto remove = [](const fs::path& path) {
    std::error_code error;
    fs::remove(path, error);
    if (error) {
      throw Error(ErrorKind::kIo,
                  fmt::format("{}: cannot be removed: {}", path.string(), error.message()));
    }
  };
  // A file may belong to two records of its repository.
  std::vector<PulledModel> others = PulledModels(folder);
  std::erase_if(others, [&](const PulledModel& other) {
    const HubName theirs = ParseHubName(other.full_name);
    return other.record == model.record || theirs.owner != name.owner ||
           theirs.repository != name.repository;
  });
  // The record last: what is left can be removed again.
  for (const PulledFile& file : model.files) {
    const bool shared = std::any_of(others.begin(), others.end(), [&](const PulledModel& other) {
      return std::any_of(other.files.begin(), other.files.end(),
                         [&](const PulledFile& theirs) { return theirs.path == file.path; });
    });
    if (!shared && IsSafePath(file.path)) remove(repository / file.path);
  }
  remove(model.record);
  std::error_code ignored;
  for (fs::path at = model.record.parent_path(); at != folder && at.has_relative_path();
       at = at.parent_path()) {
    if (!fs::is_empty(at, ignored) || ignored) break;
    fs::remove(at, ignored);
  }
}

}  // namespace linnet
