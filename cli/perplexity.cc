// linnet perplexity: how well a model predicts files.
#include "eval/perplexity.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/progress.h"
#include "cli/texts.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "models/builtin_model.h"

namespace linnet::cli {
namespace {

struct PerplexityFlags {
  CommonOptions common;
  std::vector<std::string> files;
  std::string state;
  size_t chunk = 0;
};

// Whether the first argument is a model, by its content. An argument that is not readable counts as
// a model if it cannot be a text: a folder before a text, or any first argument if no model is
// built in.
bool NamesModel(const std::vector<std::string>& files) {
  std::error_code error;
  const bool folder = std::filesystem::is_directory(files[0], error);
  if (files.size() > 1 && (folder || !Model::HasBuiltIn())) return true;
  if (!IsModelName(files[0])) return false;
  if (files[0] == kBuiltInName) return true;
  try {
    FilesOf(files[0]);
    return true;
  } catch (const Error&) {  // a folder without a model
    return false;
  }
}

void RunPerplexity(const PerplexityFlags& o) {
  const bool named = NamesModel(o.files);
  const size_t first = named ? 1 : 0;
  if (o.files.size() == first) {
    throw CLI::ValidationError("FILE", "is missing: give a text to score with " + o.files[0]);
  }
  for (size_t i = first; i < o.files.size(); ++i) CheckText(o.files[i]);
  const Model model = OpenModel(o.common, named ? o.files[0] : "");
  if (!named && !o.common.json) Say("scoring with the built-in model\n");
  const auto tokenizer = TokenizerFor(o.common, model);
  Workspace workspace = NewWorkspace(o.common);
  std::optional<State> start;
  if (!o.state.empty()) start = State::Load(o.state, model.state_shape());
  TextScore score;
  for (size_t i = first; i < o.files.size(); ++i) {
    const std::string text = ReadText(o.files[i]);
    Progress progress(o.files[i], 1000);
    PerplexityOptions options;
    options.chunk = o.chunk;
    options.start = start ? &*start : nullptr;
    options.progress = [&](size_t done, size_t total) { progress.Update(1000 * done / total); };
    const TextScore one = ScoreText(model, *tokenizer, workspace, text, options);
    if (!std::isfinite(one.nats)) throw NoScore(named ? o.files[0] : "the model", o.files[i]);
    score += one;
  }
  if (score.tokens == 0) {
    throw Error(ErrorKind::kBadInput, o.files[first] + ": holds no token to score");
  }
  if (o.common.json) {
    Print(nlohmann::ordered_json{{"bits_per_byte", score.bits_per_byte()},
                                 {"nats_per_token", score.nats_per_token()},
                                 {"perplexity", score.perplexity()},
                                 {"tokens", score.tokens},
                                 {"bytes", score.bytes}}
              .dump() +
          "\n");
  } else {
    Print(
        fmt::format("{:.4f} bits per byte, {:.4f} nats per token (perplexity {:.3f}) over {} "
                    "tokens, {} bytes\n",
                    score.bits_per_byte(), score.nats_per_token(), score.perplexity(), score.tokens,
                    score.bytes));
  }
}

}  // namespace

void AddPerplexity(CLI::App& app) {
  const auto o = std::make_shared<PerplexityFlags>();
  CLI::App* command =
      AddCommand(app, "perplexity", "Measure how well a model predicts text files",
                 "linnet perplexity model.pth book.txt\n\n"
                 "The first argument is the model if it is a checkpoint, a folder of one or "
                 "`builtin`;\notherwise all are texts, and the built-in model is used.",
                 o->common, [o] { RunPerplexity(*o); });
  command
      ->add_option("MODEL_AND_FILES", o->files,
                   "Text files, or - for stdin; before them optionally a model")
      ->required();
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
  command->add_option("--chunk", o->chunk, "Reset the state every N tokens")
      ->check(CLI::Range(2, 1 << 30));
}

}  // namespace linnet::cli
