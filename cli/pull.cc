// linnet pull: fetches a released model from a hub.
#include "download/pull.h"

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/cli.h"
#include "cli/hub_environment.h"
#include "cli/progress.h"
#include "cli/user_paths.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

struct PullFlags {
  CommonOptions common;
  std::string name, from, endpoint, revision, out;
  uint64_t patience = 60;
};

// One bar for each file.
class PullBar {
 public:
  void Show(const PullProgress& now) {
    InterruptScope::Check();
    if (now.doing != PullProgress::Doing::kFetching || now.total == 0) return;
    if (now.number != number_ || now.total != total_) {
      number_ = now.number;
      total_ = now.total;
      const std::string of = now.files > 1 ? fmt::format(" ({}/{})", now.number, now.files) : "";
      bar_.reset();
      bar_.emplace(
          fmt::format("{}{}, {:.2f} GB", now.file, of, static_cast<double>(now.total) / 1e9),
          now.total);
    }
    bar_->Update(now.done);
  }

 private:
  std::optional<Progress> bar_;
  size_t number_ = 0;
  uint64_t total_ = 0;
};

void RunPull(const PullFlags& o) {
  const InterruptScope interrupts;
  PullOptions options;
  std::optional<HubKind> kind = ParseHubName(o.name).kind;
  if (!kind && !o.from.empty()) kind = ParseHubKind(o.from);
  options.hub = HubOfEnvironment(kind);
  if (!o.endpoint.empty()) {
    // A token is for the site that gave it.
    const Hub before = options.hub;
    options.hub.endpoint = o.endpoint;
    if (EndpointOf(options.hub) != EndpointOf(before)) options.hub.token.clear();
  }
  options.revision = o.revision;
  options.folder = PulledModelsFolder();
  options.plain_folder = ExpandHome(o.out);
  options.patience = static_cast<long>(o.patience);
  PulledModel model;
  {
    PullBar bar;
    options.progress = [&](const PullProgress& now) { bar.Show(now); };
    model = PullModel(o.name, options);
  }
  if (!o.common.json) {
    Print(model.path.string() + "\n");
    return;
  }
  nlohmann::ordered_json files = nlohmann::ordered_json::array();
  for (const PulledFile& file : model.files) {
    files.push_back({{"path", file.path},
                     {"bytes", file.bytes},
                     {"sha256", file.sha256},
                     {"checked", file.checked}});
  }
  Print(nlohmann::ordered_json{{"name", model.name},
                               {"full_name", model.full_name},
                               {"path", model.path.string()},
                               {"bytes", model.bytes()},
                               {"files", std::move(files)}}
            .dump() +
        "\n");
}

constexpr const char* kPullExample =
    "linnet pull BlinkDL/rwkv7-g1/rwkv7-g1d-0.4b-20260210-ctx8192.pth\n"
    "  linnet chat rwkv7-g1d-0.4b-20260210-ctx8192\n\n"
    "The file arrives whole and with the hub's SHA-256, or not at all; a pull that was "
    "interrupted\n"
    "goes on where it was. It is kept in $XDG_DATA_HOME/linnet/models, or\n"
    "~/.local/share/linnet/models, and its path is printed. `linnet models` lists what is there.\n"
    "OWNER/REPO alone is enough if it holds one checkpoint, or a released model in several files.\n"
    "A token for files that need one is taken from HF_TOKEN, MODELSCOPE_API_TOKEN or\n"
    "WISEMODEL_TOKEN and sent to that hub only; HF_ENDPOINT names a mirror, as --endpoint does.";

}  // namespace

void AddPull(CLI::App& app) {
  const auto o = std::make_shared<PullFlags>();
  CLI::App* command = AddCommand(
      app, "pull",
      "Fetch a model from Hugging Face, ModelScope or "
      "WiseModel",
      kPullExample, o->common, [o] { RunPull(*o); }, kJson);
  command->add_option("REPO", o->name, "OWNER/REPO/FILE, OWNER/REPO, or the address of its page")
      ->type_name("TEXT")
      ->required();
  command->add_option("--from", o->from, "The hub; default: that of the address, or huggingface")
      ->check(CLI::IsMember({"huggingface", "modelscope", "wisemodel"}));
  command->add_option("--endpoint", o->endpoint, "A mirror of the hub")->type_name("URL");
  command->add_option("--revision", o->revision, "A branch, tag or commit; default: the newest")
      ->type_name("NAME");
  command->add_option("--out", o->out, "Put the files there instead")->type_name("FOLDER");
  command
      ->add_option("--patience", o->patience,
                   "Seconds without a byte after which a connection counts as broken")
      ->check(CLI::Range(1, 3600))
      ->capture_default_str();
}

}  // namespace linnet::cli
