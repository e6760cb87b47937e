// linnet perplexity: how well a model predicts files.
#include "eval/perplexity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/atomic_file.h"
#include "cli/cli.h"
#include "cli/html_page.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/texts.h"
#include "eval/divergence.h"
#include "eval/loss_curve.h"
#include "io/tensor_file.h"
#include "linnet/error.h"
#include "models/builtin_model.h"

namespace linnet::cli {
namespace {

struct PerplexityFlags {
  CommonOptions common;
  std::vector<std::string> files;
  std::string state, curve, kl;
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

nlohmann::ordered_json CurveJson(const std::string& name, const LossCurve& curve) {
  nlohmann::ordered_json points = nlohmann::ordered_json::array();
  for (const LossCurve::Point& p : curve.points()) {
    points.push_back({{"begin", p.begin}, {"end", p.end}, {"nats", p.nats}, {"tokens", p.tokens}});
  }
  return {{"name", name}, {"points", points}};
}

void WriteCurves(const std::string& path, const nlohmann::ordered_json& curves) {
  AtomicFile file(path);
  file.Write(FillPage(PageKind::kLossCurve, curves));
  file.Commit();
}

// Of all files together: means by their tokens, and the largest of any.
Divergence DivergenceOver(const PerplexityFlags& o, size_t first, const Model& model,
                          const Tokenizer& tokenizer, Workspace& workspace) {
  CommonOptions plain = o.common;  // the base as its file has it
  plain.quant.clear();
  plain.adapters.clear();
  const Model base = OpenModel(plain, o.kl);
  Divergence all;
  for (size_t i = first; i < o.files.size(); ++i) {
    const std::vector<int32_t> tokens = tokenizer.Encode(ReadText(o.files[i]));
    Progress progress(o.files[i] + ", both models", tokens.size());
    const Divergence one =
        Compare(base, model, workspace, tokens, [&](size_t done) { progress.Update(done); });
    const auto count = static_cast<double>(one.tokens);
    all.kl += one.kl * count;
    all.same_choice += one.same_choice * count;
    all.largest_kl = std::max(all.largest_kl, one.largest_kl);
    all.tokens += one.tokens;
  }
  all.kl /= static_cast<double>(std::max<size_t>(all.tokens, 1));
  all.same_choice /= static_cast<double>(std::max<size_t>(all.tokens, 1));
  return all;
}

void RunPerplexity(const PerplexityFlags& o) {
  if (!o.kl.empty() && (o.chunk != 0 || !o.state.empty())) {
    throw CLI::ValidationError(
        "--kl", "compares whole texts from an empty state, without --chunk and --state");
  }
  if (!o.curve.empty()) CheckOutput(o.common, {o.curve, CurvePageOutput()});
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
  nlohmann::ordered_json curves = nlohmann::ordered_json::array();
  for (size_t i = first; i < o.files.size(); ++i) {
    const std::string text = ReadText(o.files[i]);
    Progress progress(o.files[i], 1000);
    LossCurve curve;
    PerplexityOptions options;
    options.chunk = o.chunk;
    options.start = start ? &*start : nullptr;
    options.progress = [&](size_t done, size_t total) { progress.Update(1000 * done / total); };
    if (!o.curve.empty()) {
      options.token = [&](size_t position, double nats) { curve.Add(position, nats); };
    }
    const TextScore one = ScoreText(model, *tokenizer, workspace, text, options);
    if (!std::isfinite(one.nats)) throw NoScore(named ? o.files[0] : "the model", o.files[i]);
    score += one;
    if (!o.curve.empty()) {
      curves.push_back(CurveJson(std::filesystem::path(o.files[i]).filename().string(), curve));
    }
  }
  if (score.tokens == 0) {
    throw Error(ErrorKind::kBadInput, o.files[first] + ": holds no token to score");
  }
  if (!o.curve.empty()) WriteCurves(o.curve, curves);
  std::optional<Divergence> divergence;
  if (!o.kl.empty()) divergence = DivergenceOver(o, first, model, *tokenizer, workspace);
  if (o.common.json) {
    nlohmann::ordered_json out = {{"bits_per_byte", score.bits_per_byte()},
                                  {"nats_per_token", score.nats_per_token()},
                                  {"perplexity", score.perplexity()},
                                  {"tokens", score.tokens},
                                  {"bytes", score.bytes}};
    if (!o.curve.empty()) out["curve"] = curves;
    if (divergence) {
      out["kl_mean"] = divergence->kl;
      out["kl_max"] = divergence->largest_kl;
      out["top1"] = divergence->same_choice;
    }
    return Print(out.dump() + "\n");
  }
  Print(fmt::format(
      "{:.4f} bits per byte, {:.4f} nats per token (perplexity {:.3f}) over {} tokens, {} bytes\n",
      score.bits_per_byte(), score.nats_per_token(), score.perplexity(), score.tokens,
      score.bytes));
  if (divergence) {
    Print(
        fmt::format("against {}: divergence {:.6f} nats per token, at most {:.4f}; the same "
                    "likeliest token in {:.2f} %\n",
                    o.kl, divergence->kl, divergence->largest_kl, 100 * divergence->same_choice));
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
  AddOutput(*command, o->common, "--curve", o->curve,
            "Write a page with the loss by position in the text")
      ->type_name("FILE");
  command
      ->add_option("--kl", o->kl,
                   "Also compare with the predictions of this model, as the better one")
      ->type_name("MODEL");
  command->add_option("--chunk", o->chunk, "Reset the state every N tokens")
      ->check(CLI::Range(2, 1 << 30));
}

}  // namespace linnet::cli
