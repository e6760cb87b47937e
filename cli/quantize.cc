// linnet quantize: writes a model in fewer bits, as a file that runs directly from its mapping.
#include "models/quantize.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "cli/texts.h"
#include "eval/divergence.h"
#include "linnet/error.h"
#include "models/builtin_model.h"

namespace linnet::cli {
namespace {

using nlohmann::ordered_json;

struct QuantizeFlags {
  CommonOptions common;
  std::string in, out, type, keep, head, low_rank, report;
  size_t layers = SIZE_MAX;
};

Packing PackingOf(const QuantizeFlags& o) {
  Packing packing;
  packing.type = ParseDType(o.type);
  packing.layers = o.layers;
  if (!o.head.empty()) packing.head = ParseDType(o.head);
  if (!o.low_rank.empty()) packing.factors = ParseDType(o.low_rank);
  if (o.keep.empty()) return packing;
  packing.keep = [keep = ParseRegex("--keep", o.keep)](const std::string& name) {
    return std::regex_search(name, *keep);
  };
  return packing;
}

Quantized Write(const QuantizeFlags& o) {
  const Packing packing = PackingOf(o);
  const Checkpoint in = CheckpointNamed(o.in);
  ThreadPool pool(o.common.threads);
  const InterruptScope interrupt;  // so that Ctrl-C leaves no partial file
  constexpr uint64_t kSteps = 1000;
  Progress progress("Writing " + o.out, kSteps);
  QuantizeOptions options;
  options.packing = packing;
  const auto vocabulary = VocabularyFor(o.common, in, o.out);
  options.vocabulary = vocabulary;
  options.progress = [&](uint64_t done, uint64_t total) {
    InterruptScope::Check();
    progress.Update(kSteps * done / total);
  };
  return QuantizeCheckpoint(in, o.out, pool, options);
}

// The model that a packed model is compared with.
struct Yardstick {
  Model model;
  std::string text;
  std::vector<int32_t> tokens;
};

// Both models run with f32 activations, so that only the weights differ.
CommonOptions ExactOptions(const QuantizeFlags& o) {
  CommonOptions common = o.common;
  common.exact = true;
  return common;
}

Yardstick YardstickOf(const QuantizeFlags& o) {
  const CommonOptions common = ExactOptions(o);
  Yardstick before{OpenModel(common, o.in), ReadText(o.report), {}};
  before.tokens = TokenizerFor(common, before.model)->Encode(before.text);
  if (before.tokens.empty()) {
    throw Error(ErrorKind::kBadInput, o.report + ": holds no token to score");
  }
  return before;
}

ordered_json Report(const QuantizeFlags& o, const Yardstick& before) {
  const CommonOptions common = ExactOptions(o);
  const Model after = OpenWritten(common, o.out);
  Workspace workspace = NewWorkspace(common);
  Progress progress("Comparing", before.tokens.size());
  const Divergence d = Compare(before.model, after, workspace, before.tokens,
                               [&](size_t done) { progress.Update(done); });
  if (!std::isfinite(d.reference_nats)) throw NoScore(o.in, o.report);
  if (!std::isfinite(d.other_nats)) throw NoScore(o.out, o.report);
  const double bits = std::numbers::ln2 * static_cast<double>(before.text.size());
  const auto count = static_cast<double>(d.tokens);
  return {{"bits_per_byte_before", d.reference_nats / bits},
          {"bits_per_byte_after", d.other_nats / bits},
          {"perplexity_before", std::exp(d.reference_nats / count)},
          {"perplexity_after", std::exp(d.other_nats / count)},
          {"kl", d.kl},
          {"largest_kl", d.largest_kl},
          {"largest_logit_error", d.largest_logit_error},
          {"same_choice", d.same_choice},
          {"tokens", d.tokens},
          {"bytes", before.text.size()}};
}

void PrintReport(const QuantizeFlags& o, const ordered_json& r) {
  Print(
      fmt::format("{}: {:.4f} bits per byte before, {:.4f} after; perplexity {:.3f} before, {:.3f} "
                  "after ({} tokens)\n",
                  o.report, r["bits_per_byte_before"].get<double>(),
                  r["bits_per_byte_after"].get<double>(), r["perplexity_before"].get<double>(),
                  r["perplexity_after"].get<double>(), r["tokens"].get<size_t>()));
  Print(
      fmt::format("KL divergence {:.6f} nats per token, {:.4f} at most; largest logit error "
                  "{:.4f}; same likeliest token {:.2f} %\n",
                  r["kl"].get<double>(), r["largest_kl"].get<double>(),
                  r["largest_logit_error"].get<double>(), 100 * r["same_choice"].get<double>()));
}

void RunQuantize(const QuantizeFlags& o) {
  RefuseQuant(o.common, "--type");
  CheckEnding("OUT", o.out, {".safetensors"});
  CheckOutput(o.common, {o.out, ModelOutput()});
  std::optional<Yardstick> before;
  if (!o.report.empty()) before = YardstickOf(o);
  const Quantized written = Write(o);
  if (InterruptScope::Ended()) throw Interruption();  // SIGTERM during the last write
  const auto bytes = std::filesystem::file_size(o.out);
  Say(fmt::format("{}: {} tensors, {} parameters, {:.3f} GB, {:.3f} bits each\n", o.out,
                  written.tensors, written.parameters, static_cast<double>(bytes) / 1e9,
                  8 * static_cast<double>(bytes) / static_cast<double>(written.parameters)));
  ordered_json result = {{"path", o.out},
                         {"type", o.type},
                         {"tensors", written.tensors},
                         {"parameters", written.parameters},
                         {"bytes", bytes}};
  if (before) {
    result["report"] = Report(o, *before);
    if (!o.common.json) PrintReport(o, result["report"]);
  }
  if (!o.common.json) return;
  Print(result.dump(-1, ' ', false, ordered_json::error_handler_t::replace) + "\n");
}

}  // namespace

void AddQuantize(CLI::App& app) {
  const auto o = std::make_shared<QuantizeFlags>();
  const auto types = CLI::IsMember({"int8", "nf4", "bf16", "f16"}, CLI::ignore_case);
  CLI::App* command = AddCommand(
      app, "quantize", "Quantize a model to a file that loads without conversion",
      "linnet quantize model.pth model-nf4.safetensors --type nf4\n\n"
      "With --vocab the file also contains that vocabulary.",
      o->common, [o] { RunQuantize(*o); }, kThreads | kJson | kForce | kIsa | kVocab);
  command->add_option("IN", o->in, kModelHelp)->required();
  AddOutput(*command, o->common, "OUT", o->out, "The file to write, .safetensors")->required();
  command->add_option("--type", o->type, "The type of matrices; the embedding is at least int8")
      ->transform(types)
      ->required();
  command
      ->add_option(
          "--layers", o->layers,
          "Quantize only the first N layers; others keep their type, GGUF blocks become int8")
      ->type_name("N");
  command
      ->add_option("--keep", o->keep, "Keep the type of tensors whose names match, as for --layers")
      ->type_name("REGEX");
  command->add_option("--head", o->head, "The type of the head; default: --type")->transform(types);
  command
      ->add_option("--low-rank", o->low_rank,
                   "The type of low-rank factors; default: --type, or bf16 for int8 and nf4")
      ->transform(types);
  command
      ->add_option("--report", o->report,
                   "Compare both models on this text: bits per byte, perplexity, KL divergence")
      ->type_name("TEXT");
}

}  // namespace linnet::cli
