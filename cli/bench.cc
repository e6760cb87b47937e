// linnet bench: the throughput of a model, with the limits of the machine.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/memory.h"
#include "cli/cli.h"
#include "cli/model.h"
#include "eval/speed.h"
#include "linnet/error.h"

namespace linnet::cli {
namespace {

struct BenchFlags {
  CommonOptions common;
  std::string model;
  SpeedOptions speed;
};

struct Result {
  SpeedReport speed;
  double resident_mb = 0, load_s = 0;
  uint64_t token_bytes = 0;
};

nlohmann::ordered_json AsJson(const Result& r) {
  const auto& [machine, prompt, decode, batch] = r.speed;
  return {
      {"machine",
       {{"read_gb_s", machine.read_gb_s},
        {"f32_gflops", machine.f32_gflops},
        {"bf16_gflops", machine.bf16_gflops},
        {"int8_gops", machine.int8_gops}}},
      {"prompt",
       {{"tokens", prompt.count},
        {"tokens_per_s", prompt.tokens_per_s},
        {"gflops", prompt.gflops}}},
      {"decode",
       {{"tokens", decode.count}, {"tokens_per_s", decode.tokens_per_s}, {"gb_s", decode.gb_s}}},
      {"batch",
       {{"sequences", batch.count},
        {"tokens_per_s", batch.tokens_per_s},
        {"gflops", batch.gflops}}},
      {"bytes_per_token", r.token_bytes},
      {"resident_mb", r.resident_mb},
      {"load_s", r.load_s}};
}

std::string AsTable(const Result& r) {
  const auto& [machine, prompt, decode, batch] = r.speed;
  std::string out =
      fmt::format("machine  {:.1f} GB/s read, {:.0f} GFLOP/s f32, {:.0f} bf16, {:.0f} GOP/s int8\n",
                  machine.read_gb_s, machine.f32_gflops, machine.bf16_gflops, machine.int8_gops);
  if (prompt.count != 0) {
    out += fmt::format("prompt   {:8.1f} tokens/s  {} tokens at once, {:.0f} GFLOP/s\n",
                       prompt.tokens_per_s, prompt.count, prompt.gflops);
  }
  if (decode.count != 0) {
    out += fmt::format("decode   {:8.1f} tokens/s  one by one, {:.1f} GB/s, {:.0f} % of reading\n",
                       decode.tokens_per_s, decode.gb_s, 100 * decode.gb_s / machine.read_gb_s);
  }
  if (batch.count != 0) {
    out += fmt::format("batch    {:8.1f} tokens/s  {} sequences together, {:.0f} GFLOP/s\n",
                       batch.tokens_per_s, batch.count, batch.gflops);
  }
  return out +
         fmt::format("memory   {:8.1f} MB resident; loaded in {:.2f} s\n", r.resident_mb, r.load_s);
}

// States and logits depend on the options, not only on the model, so check their size.
void CheckMemory(const BenchFlags& o, const Model& model, const SpeedOptions& options) {
  const uint64_t need = MemoryFor(model, options), have = AvailableMemory();
  if (o.common.force || need <= have) return;
  throw Error(
      ErrorKind::kBadInput,
      fmt::format("--batch {} takes {:.1f} GB of states and logits, {:.1f} GB are free; take "
                  "fewer, or pass --force to go on",
                  options.batch, static_cast<double>(need) / 1e9, static_cast<double>(have) / 1e9));
}

void RunBench(const BenchFlags& o) {
  Result result;
  const auto start = std::chrono::steady_clock::now();
  const Model model = OpenModel(o.common, o.model);
  result.load_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.token_bytes = model.cost().matrix_bytes;
  SpeedOptions options = o.speed;
  options.threads = o.common.threads;
  options.exact = o.common.exact;
  CheckMemory(o, model, options);
  {
    // Measure the model's memory before the probes allocate theirs.
    Workspace workspace = NewWorkspace(o.common);
    State state = model.NewState();
    std::vector<float> logits(model.config().vocab);
    const int32_t id = 0;
    model.Forward({{&id, 1}, &state, logits}, workspace);
    result.resident_mb = static_cast<double>(ResidentMemory()) / 1e6;
  }
  result.speed = MeasureSpeed(model, options);
  Print(o.common.json ? AsJson(result).dump() + "\n" : AsTable(result));
}

}  // namespace

void AddBench(CLI::App& app) {
  const auto o = std::make_shared<BenchFlags>();
  CLI::App* command = AddCommand(
      app, "bench", "Measure the throughput of a model and the limits of the machine",
      "linnet bench model.pth --prompt 512 --decode 128 --batch 32", o->common,
      [o] { RunBench(*o); }, kAllOptions & ~kVocab);
  command->add_option("MODEL", o->model, kOptionalModelHelp);
  const CLI::Range bounds(size_t{0}, size_t{1} << 20);  // takes hours on a model of useful size
  command->add_option("--prompt", o->speed.prompt, "Tokens of a prompt; 0: skip it")
      ->capture_default_str()
      ->check(bounds);
  command->add_option("--decode", o->speed.decode, "Tokens to decode; 0: skip it")
      ->capture_default_str()
      ->check(bounds);
  command
      ->add_option("--context", o->speed.context,
                   "Tokens before those decoded one by one; matters with attention only")
      ->capture_default_str()
      ->check(bounds);
  AddRowOptions(*command, o->common);
  command->add_option("--batch", o->speed.batch, "Sequences in a batch; 0: skip it")
      ->capture_default_str()
      ->check(bounds);
}

}  // namespace linnet::cli
