// linnet logits: writes the logits for a row of tokens to a file for other programs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "models/state_file.h"

namespace linnet::cli {
namespace {

struct LogitsFlags {
  CommonOptions common;
  std::string model, tokens, text, state, out;
  size_t chunk = 0, batch = 1;
  bool fast = false;
};

std::vector<int32_t> TokensOf(const LogitsFlags& o, const Model& model) {
  auto ids = o.tokens.empty() ? TokenizerFor(o.common, model)->Encode(o.text)
                              : ParseIds(o.tokens, model.config().vocab, "--tokens", o.model);
  if (ids.empty()) throw Error(ErrorKind::kBadInput, "no tokens, expected at least one");
  return ids;
}

// Another sequence for the batch, with other tokens and another length.
struct Companion {
  State state;
  std::vector<int32_t> tokens;
};

std::vector<Companion> Companions(const LogitsFlags& o, const Model& model,
                                  const std::vector<int32_t>& tokens) {
  std::vector<Companion> out;
  for (size_t i = 1; i < o.batch; ++i) {
    Companion c{model.NewState(), {}};
    const size_t length = 1 + (7 * i) % (tokens.size() + 3);
    for (size_t t = 0; t < length; ++t) {
      c.tokens.push_back(static_cast<int32_t>((31 * i + 17 * t) % model.config().vocab));
    }
    out.push_back(std::move(c));
  }
  return out;
}

std::vector<float> Run(const LogitsFlags& o, const Model& model, const std::vector<int32_t>& tokens,
                       State& state) {
  CommonOptions common = o.common;
  common.exact = !o.fast;
  Workspace workspace = NewWorkspace(common);
  const size_t vocab = model.config().vocab;
  const size_t chunk = o.chunk == 0 ? tokens.size() : o.chunk;
  std::vector<float> logits(tokens.size() * vocab);
  auto others = Companions(o, model, tokens);
  for (size_t begin = 0; begin < tokens.size(); begin += chunk) {
    const size_t len = std::min(chunk, tokens.size() - begin);
    std::vector<Turn> turns;
    turns.push_back({std::span(tokens).subspan(begin, len), &state,
                     std::span(logits).subspan(begin * vocab, len * vocab)});
    for (Companion& c : others) turns.push_back({c.tokens, &c.state, {}});
    model.Forward(turns, workspace);
  }
  return logits;
}

void Write(const LogitsFlags& o, size_t vocab, const std::vector<int32_t>& tokens,
           const std::vector<float>& logits, const State& state) {
  const auto list = state.ToReference();
  std::vector<TensorSpec> specs = {{"tokens", SourceType::kI64, {tokens.size()}},
                                   {"logits", SourceType::kF32, {tokens.size(), vocab}}};
  AddSpecs(list, specs);
  const auto writer = TensorWriter::Create(o.out, specs);
  const std::vector<int64_t> ids(tokens.begin(), tokens.end());
  writer->Append(std::as_bytes(std::span(ids)));
  writer->AppendFloats(SourceType::kF32, logits);
  AppendTensors(list, *writer);
  writer->Finish();
}

void RunLogits(const LogitsFlags& o) {
  if (o.tokens.empty() == o.text.empty()) {
    throw CLI::ValidationError("logits", "give either --tokens or --text");
  }
  CheckOutput(o.common, {o.out, LogitsOutput()});
  const Model model = OpenModel(o.common, o.model);
  const auto tokens = TokensOf(o, model);
  State state = o.state.empty() ? model.NewState() : State::Load(o.state, model.state_shape());
  const auto logits = Run(o, model, tokens, state);
  if (!std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); })) {
    Say(fmt::format("{}: warning: the logits hold infinities or NaN\n", o.model));
  }
  Write(o, model.config().vocab, tokens, logits, state);
}

}  // namespace

void AddLogits(CLI::App& app) {
  const auto o = std::make_shared<LogitsFlags>();
  CLI::App* command = AddCommand(
      app, "logits", "Write the logits after each token and the last state as safetensors",
      "linnet logits model.pth --tokens 1,2,3 --out logits.safetensors", o->common,
      [o] { RunLogits(*o); }, kThreads | kForce | kIsa | kVocab | kQuant);
  command->add_option("MODEL", o->model, kModelHelp)->required();
  command->add_option("--tokens", o->tokens, "Ids separated by commas");
  command->add_option("--text", o->text, "Text, encoded with the model's vocabulary");
  command->add_option("--chunk", o->chunk, "Tokens per pass; default: all at once")
      ->check(CLI::Range(1, 1 << 30));
  command->add_option("--batch", o->batch, "Run in a batch of this many sequences")
      ->check(CLI::Range(1, 1024));
  command->add_option("--state", o->state, "Start from this saved or tuned state")
      ->type_name("FILE");
  AddAdapterOption(*command, o->common);
  AddRowOptions(*command, o->common);
  command->add_flag("--fast", o->fast, "Round activations as the other commands do by default")
      ->excludes(command->get_option("--exact"));
  AddOutput(*command, o->common, "--out", o->out, "The file to write")
      ->type_name("FILE")
      ->required();
}

}  // namespace linnet::cli
