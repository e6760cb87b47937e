// linnet convert: a checkpoint of any dialect under BlinkDL's names.
#include "models/convert.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/cli.h"
#include "cli/progress.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

struct Options {
  CommonOptions common;
  std::string in, out, type;
};

void CheckEnding(const std::string& out) {
  const std::string ending = std::filesystem::path(out).extension();
  if (ending == ".safetensors" || ending == ".st" || ending == ".pth") return;
  if (ending == ".gguf") {
    throw Error(ErrorKind::kBadInput,
                out + ": GGUF is not written by this version; write .safetensors or .pth");
  }
  throw CLI::ValidationError("OUT", fmt::format("'{}' must end in .safetensors or .pth", out));
}

void RunConvert(const Options& o) {
  CheckEnding(o.out);
  const Checkpoint in(o.in);
  const InterruptScope interrupt;  // so that Ctrl-C leaves nothing half-written
  Progress progress("Writing " + o.out, in.file().file_bytes());
  ConvertOptions options;
  options.type = ParseFloatType(o.type);
  options.progress = [&](uint64_t done, uint64_t) {
    InterruptScope::Check();
    progress.Update(done);
  };
  const Converted converted = ConvertCheckpoint(in, o.out, options);
  const auto bytes = std::filesystem::file_size(o.out);
  fmt::print(stderr, "{}: {} tensors, {} parameters, {:.3f} GB, from {} names\n", o.out,
             converted.tensors, converted.parameters, static_cast<double>(bytes) / 1e9,
             Name(in.dialect()));
  if (!o.common.json) return;
  const nlohmann::ordered_json result = {{"path", o.out},
                                         {"tensors", converted.tensors},
                                         {"parameters", converted.parameters},
                                         {"bytes", bytes},
                                         {"from", Name(in.dialect())}};
  Print(result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace

void AddConvert(CLI::App& app) {
  const auto o = std::make_shared<Options>();
  CLI::App* command = AddCommand(app, "convert", "Write a checkpoint under BlinkDL's names",
                                 "linnet convert model.fla.safetensors model.pth --type bf16",
                                 o->common, [o] { RunConvert(*o); });
  command->add_option("IN", o->in, "Any checkpoint, in any naming")->required();
  command->add_option("OUT", o->out, "The file to write, .safetensors or .pth")->required();
  command->add_option("--type", o->type, "What all values become; each its own if not given")
      ->check(CLI::IsMember({"f32", "f16", "bf16"}));
}

}  // namespace linnet::cli
