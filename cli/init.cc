// linnet init: writes a new model, initialized as in the reference trainers or random.
#include "models/init.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "cli/cli.h"
#include "cli/output_file.h"
#include "cli/progress.h"
#include "io/tensor_writer.h"
#include "linnet/dtype.h"
#include "models/convert.h"
#include "models/quantize.h"

namespace linnet::cli {
namespace {

struct InitFlags {
  CommonOptions common;
  InitSizes sizes;
  std::string generation, dtype = "bf16", ranks = "released", out;
  uint64_t seed = 0;
  bool random = false;
};

struct Total {
  uint64_t parameters = 0, bytes = 0;
};

// Writes panels, without a temporary file in full precision.
Total WritePacked(const InitFlags& o, const Config& config) {
  const InterruptScope interrupt;  // so that Ctrl-C leaves no partial file
  ThreadPool pool(o.common.threads);
  constexpr uint64_t kSteps = 1000;
  Progress progress("Writing " + o.out, kSteps);
  QuantizeOptions options;
  options.packing.type = ParseDType(o.dtype);
  options.progress = [&](uint64_t done, uint64_t all) {
    InterruptScope::Check();
    progress.Update(kSteps * done / all);
  };
  const Filling filling = o.random ? Filling::kRandom : Filling::kReference;
  const Quantized written = WriteNewPacked(config, filling, o.seed, o.out, pool, options);
  return {written.parameters, std::filesystem::file_size(o.out)};
}

Total Write(const InitFlags& o, const Config& config) {
  if (o.dtype == "int8" || o.dtype == "nf4") return WritePacked(o, config);
  const SourceType type = *ParseFloatType(o.dtype);
  const auto parameters = NewParameters(config);
  std::vector<TensorSpec> specs;
  Total total;
  for (const ParameterSpec& p : parameters) {
    specs.push_back({p.name, type, p.shape});
    total.parameters += p.elements();
  }
  const InterruptScope interrupt;  // so that Ctrl-C leaves no partial file
  const auto writer = TensorWriter::Create(o.out, specs);
  ThreadPool pool(o.common.threads);
  Progress progress("Writing " + o.out, total.parameters);
  const Filling filling = o.random ? Filling::kRandom : Filling::kReference;
  uint64_t done = 0;
  for (const ParameterSpec& p : parameters) {
    ForValues(p, filling, o.seed, pool, [&](std::span<const float> values) {
      InterruptScope::Check();
      writer->AppendFloats(type, values);
      progress.Update(done += values.size());
    });
  }
  writer->Finish();
  total.bytes = std::filesystem::file_size(o.out);
  return total;
}

void Report(const InitFlags& o, const Config& c, const Total& total) {
  Say(fmt::format("{}: RWKV-{}, {} layers, width {}, {} parameters, {:.3f} GB\n", o.out,
                  Name(c.generation), c.layers, c.width, total.parameters,
                  static_cast<double>(total.bytes) / 1e9));
  if (!o.common.json) return;
  nlohmann::ordered_json result = {{"path", o.out},
                                   {"generation", Name(c.generation)},
                                   {"layers", c.layers},
                                   {"width", c.width},
                                   {"heads", c.heads},
                                   {"head_size", c.head_size},
                                   {"ffn", c.ffn},
                                   {"vocab", c.vocab},
                                   {"ranks", c.ranks},
                                   {"dtype", o.dtype},
                                   {"parameters", total.parameters},
                                   {"bytes", total.bytes}};
  if (c.experts != 0) result["experts"] = c.experts;
  Print(result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void RunInit(InitFlags& o) {
  RefuseQuant(o.common, "--dtype");
  o.sizes.generation = *ParseGeneration(o.generation);
  o.sizes.ranks = o.ranks == "train" ? RankRule::kTrain : RankRule::kReleased;
  const Config config = NewConfig(o.sizes);
  if (o.dtype == "int8" || o.dtype == "nf4") {
    CheckEnding("OUT", o.out, {".safetensors"});
  } else {
    CheckEnding("OUT", o.out, {".safetensors", ".pth"});
  }
  CheckOutput(o.common, {o.out, ModelOutput()});
  Report(o, config, Write(o, config));
}

}  // namespace

void AddInit(CLI::App& app) {
  const auto o = std::make_shared<InitFlags>();
  CLI::App* command = AddCommand(
      app, "init", "Write a new model, initialized as in the reference trainers",
      "linnet init --generation 7 --layers 12 --width 768 new.safetensors", o->common,
      [o] { RunInit(*o); }, kThreads | kJson);
  command->remove_option(command->get_option("--vocab"));  // here --vocab is a size
  AddOutput(*command, o->common, "OUT", o->out, "The file to write, .pth or .safetensors")
      ->required();
  command->add_option("--generation", o->generation, "Which RWKV")
      ->check(CLI::IsMember(GenerationNames()))
      ->required();
  command->add_option("--layers", o->sizes.layers, "Layers")->required();
  command->add_option("--width", o->sizes.width, "Channels (n_embd)")->required();
  command->add_option("--vocab", o->sizes.vocab, "The size of the vocabulary")
      ->capture_default_str();
  command->add_option("--head-size", o->sizes.head_size, "Channels per head")
      ->capture_default_str();
  command->add_option("--ffn", o->sizes.ffn,
                      "Channels of the channel mix; default: that of the generation");
  command->add_option("--experts", o->sizes.experts, "Experts of a layer, only of 6moe; default: 8")
      ->check(CLI::PositiveNumber);
  command->add_option("--dtype", o->dtype, "The type of the stored values")
      ->transform(CLI::IsMember({"f32", "bf16", "f16", "int8", "nf4"}, CLI::ignore_case))
      ->capture_default_str();
  command->add_option("--seed", o->seed, "The same seed gives the same file")
      ->capture_default_str();
  command->add_flag("--random", o->random,
                    "Fill every tensor with sane random values, for benchmarks");
  command
      ->add_option("--ranks", o->ranks,
                   "Low-rank sizes of v7: as in released models or as in the trainer")
      ->check(CLI::IsMember({"released", "train"}))
      ->capture_default_str();
}

}  // namespace linnet::cli
