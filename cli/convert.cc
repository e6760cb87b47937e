// linnet convert: writes a checkpoint with any tensor names under BlinkDL's names.
#include "models/convert.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/matched.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "engine/own_vocabulary.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/gguf_convert.h"

namespace linnet::cli {
namespace {

struct ConvertFlags {
  CommonOptions common;
  std::string in, out, type;
};

bool IsGgufName(const std::string& out) {
  return std::filesystem::path(out).extension() == ".gguf";
}

// The vocabulary for a GGUF file; empty if there is none, and `missing` says why.
GgufVocabulary GgufVocabularyFor(const ConvertFlags& o, const Checkpoint& in,
                                 std::string& missing) {
  const size_t size = ConfigOf(in).vocab;
  try {
    const auto tokenizer = o.common.vocab.empty() ? TokenizerOf(in, HomeFolder())
                                                  : LoadTokenizer(o.common.vocab, size);
    if (std::string_view(tokenizer->name()) != "20b") return GgufVocabularyOf(*tokenizer, size);
    missing = fmt::format("{}: written without its vocabulary, which is not World's\n", o.out);
  } catch (const Error& error) {
    if (!o.common.vocab.empty()) throw;
    missing = fmt::format("{}: written without a vocabulary: {}\n", o.out, MessageOf(error));
  }
  return {};
}

void RunConvert(const ConvertFlags& o) {
  RefuseQuant(o.common, "--type");
  CheckEnding("OUT", o.out, {".safetensors", ".pth", ".gguf"});
  if (!IsGgufName(o.out) && ParseGgufType(o.type) == GgufType::kQ8_0) {
    throw CLI::ValidationError("--type", "q8_0 is for .gguf; see linnet quantize");
  }
  CheckOutput(o.common, {o.out, ModelOutput()});
  const Checkpoint in = CheckpointNamed(o.in);
  const InterruptScope interrupt;  // so that Ctrl-C leaves no partial file
  Progress progress("Writing " + o.out, in.file().file_bytes());
  ConvertOptions options;
  options.type = ParseFloatType(o.type);
  const auto vocabulary =
      IsGgufName(o.out) ? std::vector<std::byte>() : VocabularyFor(o.common, in, o.out);
  options.vocabulary = vocabulary;
  options.progress = [&](uint64_t done, uint64_t) {
    InterruptScope::Check();
    progress.Update(done);
  };
  std::string missing;
  const Converted converted =
      IsGgufName(o.out) ? ConvertToGguf(in, o.out, ParseGgufType(o.type).value_or(GgufType::kF16),
                                        GgufVocabularyFor(o, in, missing), options)
                        : ConvertCheckpoint(in, o.out, options);
  const auto bytes = std::filesystem::file_size(o.out);
  Say(missing);
  Say(fmt::format("{}: {} tensors, {} parameters, {:.3f} GB, from {} names\n", o.out,
                  converted.tensors, converted.parameters, static_cast<double>(bytes) / 1e9,
                  Name(in.naming())));
  if (!in.matched().empty()) Say(fmt::format("{}: {}\n", o.in, MatchedText(in)));
  if (!o.common.json) return;
  nlohmann::ordered_json result = {{"path", o.out},
                                   {"tensors", converted.tensors},
                                   {"parameters", converted.parameters},
                                   {"bytes", bytes},
                                   {"from", Name(in.naming())}};
  if (!in.matched().empty()) result["matched"] = MatchedJson(in);
  Print(result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

void AddConvert(CLI::App& app) {
  const auto o = std::make_shared<ConvertFlags>();
  CLI::App* command = AddCommand(
      app, "convert", "Write a checkpoint under BlinkDL's names, or as GGUF",
      "linnet convert model.fla.safetensors model.pth --type bf16", o->common,
      [o] { RunConvert(*o); }, kJson | kVocab);
  command->add_option("IN", o->in, kModelHelp)->required();
  AddOutput(*command, o->common, "OUT", o->out, "The file to write, .safetensors, .pth or .gguf")
      ->required();
  command
      ->add_option("--type", o->type,
                   "The type of all values; default: unchanged. For GGUF the type of the "
                   "large matrices; default: f16")
      ->transform(CLI::IsMember({"f32", "f16", "bf16", "q8_0"}, CLI::ignore_case));
}

}  // namespace linnet::cli
