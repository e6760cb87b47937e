// linnet merge: merges an adapter into its model.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "linnet/error.h"
#include "models/adapter.h"
#include "models/builtin_model.h"
#include "models/convert.h"
#include "models/detect.h"

namespace linnet::cli {
namespace {

struct MergeFlags {
  CommonOptions common;
  std::string base, adapter, out, type;
  std::optional<float> scale;
};

// The logits after each of a few tokens spread over the vocabulary; exact values and activations.
std::vector<float> LogitsOf(const MergeFlags& o, const Model& model) {
  InterruptScope::Check();
  const size_t vocab = model.config().vocab;
  std::vector<int32_t> tokens;
  for (size_t t = 0; t < 32; ++t) {
    tokens.push_back(static_cast<int32_t>((1 + 7919 * t * (t + 1)) % vocab));
  }
  std::vector<float> logits(tokens.size() * vocab);
  State state = model.NewState();
  CommonOptions common = o.common;
  common.exact = true;
  Workspace workspace = NewWorkspace(common);
  model.Forward({tokens, &state, logits}, workspace);
  InterruptScope::Check();
  return logits;
}

void CheckNumbers(const std::vector<float>& logits, const std::string& file, const char* advice) {
  if (std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) return;
  throw Error(ErrorKind::kBadInput, fmt::format("{}: the logits {}", file, advice));
}

// The largest difference, relative to the largest logit.
double Apart(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0, apart = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double{a[i]}));
    apart = std::max(apart, std::abs(double{a[i]} - b[i]));
  }
  return largest > 0 ? apart / largest : apart;
}

struct Merged {
  std::string kind;
  size_t matrices = 0, replaced = 0;
  size_t states = 0;            // layers with a tuned state, new or replaced
  double moved = 0, error = 0;  // relative change by the adapter, and error of merging it
};

Merged CountOf(const Checkpoint& base, const Adapter& adapter) {
  Merged merged;
  if (adapter.has_state()) merged.states = ConfigOf(base).layers;  // it has all layers or none
  for (const TensorView& t : base.tensors()) {
    const bool state = IsTimeState(t.name);
    merged.replaced += adapter.Replacement(t.name) != nullptr && !state;
    const MatrixChange* change = adapter.Find(t.name);
    if (change == nullptr) continue;
    ++merged.matrices;
    merged.kind = Name(change->kind);
  }
  return merged;
}

// OUT appears only after its logits were compared.
Merged Write(const MergeFlags& o) {
  const Checkpoint base = CheckpointNamed(o.base);
  const Adapter adapter(o.adapter, base, o.scale);
  Merged merged = CountOf(base, adapter);
  const InterruptScope interrupt;  // so that Ctrl-C leaves no partial file
  const OpenOptions open{.force = o.common.force};
  OpenOptions apply = open;
  apply.adapters = {{o.adapter, o.scale}};
  const auto before = LogitsOf(o, Model::Named(o.base, open)),
             applied = LogitsOf(o, Model::Named(o.base, apply));
  CheckNumbers(before, o.base, "of this model are not all numbers; it is damaged");
  CheckNumbers(applied, o.adapter,
               "of the model with it are not all numbers, so nothing was written; is --scale "
               "right?");
  merged.moved = Apart(applied, before);
  constexpr uint64_t kSteps = 1000;
  Progress progress("Writing " + o.out, kSteps);
  ConvertOptions options;
  options.adapter = &adapter;
  if (!o.type.empty()) options.type = ParseFloatType(o.type);
  const auto vocabulary = VocabularyFor(o.common, base, o.out);
  options.vocabulary = vocabulary;
  options.progress = [&](uint64_t done, uint64_t total) {
    InterruptScope::Check();
    progress.Update(kSteps * done / std::max<uint64_t>(total, 1));
  };
  options.check = [&](const std::filesystem::path& written) {
    const auto after = LogitsOf(o, Model::Open(written, open));
    CheckNumbers(after, o.out,
                 "of the merged model are not all numbers, so it was not written; see --type and "
                 "--scale");
    merged.error = Apart(applied, after);
  };
  ConvertCheckpoint(base, o.out, options);
  return merged;
}

void RunMerge(const MergeFlags& o) {
  RefuseQuant(o.common, "--type");
  CheckEnding("OUT", o.out, {".safetensors", ".pth"});
  CheckOutput(o.common, {o.out, ModelOutput()});
  const Merged merged = Write(o);
  if (InterruptScope::Ended()) throw Interruption();  // SIGTERM during the last write
  if (o.common.json) {
    return Print(nlohmann::ordered_json{{"path", o.out},
                                        {"adapter", merged.kind},
                                        {"matrices", merged.matrices},
                                        {"replaced", merged.replaced},
                                        {"states", merged.states},
                                        {"logits_moved", merged.moved},
                                        {"logits_error", merged.error}}
                     .dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) +
                 "\n");
  }
  Print(fmt::format(
      "{}: {} matrices changed{}, {} tensors replaced{}\n"
      "the adapter moves logits by up to {:.2e} of the largest; the merged model is "
      "within {:.2e} of the base with the adapter\n",
      o.out, merged.matrices, merged.kind.empty() ? "" : " by " + merged.kind, merged.replaced,
      merged.states == 0 ? "" : ", its tuned state taken in", merged.moved, merged.error));
}

}  // namespace

void AddMerge(CLI::App& app) {
  const auto o = std::make_shared<MergeFlags>();
  CLI::App* command = AddCommand(
      app, "merge", "Merge an adapter into its model",
      "linnet merge model.pth adapter.safetensors merged.pth\n\n"
      "Every tensor is checked against the model. Quantized matrices are dequantized;\n"
      "`linnet quantize` quantizes them again.",
      o->common, [o] { RunMerge(*o); }, kThreads | kJson | kForce | kIsa | kVocab);
  command->add_option("BASE", o->base, "The model that the adapter was trained on, or `builtin`")
      ->required();
  command->add_option("ADAPTER", o->adapter, "LoRA, PiSSA, DiSHA, Bone, DoRA or a tuned state")
      ->required();
  AddOutput(*command, o->common, "OUT", o->out, "The file to write, .pth or .safetensors")
      ->required();
  command->add_option("--scale", o->scale,
                      "Factor of the adapter; for LoRA files without alpha, alpha / rank");
  command->add_option("--type", o->type, "The type of all tensors; default: as in the base")
      ->transform(CLI::IsMember({"f32", "f16", "bf16"}, CLI::ignore_case));
}

}  // namespace linnet::cli
