// linnet grad: writes the loss of a row of tokens and its gradient to a file for other programs.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/thread_pool.h"
#include "cli/cli.h"
#include "cli/model.h"
#include "cli/output_file.h"
#include "io/tensor_writer.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "models/gradient.h"

namespace linnet::cli {
namespace {

struct GradFlags {
  CommonOptions common;
  std::string model, tokens, out;
  bool l2wrap = false;
};

void Write(const std::string& path, double loss, const std::vector<Parameter>& parameters) {
  std::vector<TensorSpec> specs = {{"loss", SourceType::kF32, {1}}};
  // The slices of one tensor are stored in order.
  for (const Parameter& p : parameters) {
    if (p.slice == 0) specs.push_back({"grad." + p.name, SourceType::kF32, p.shape});
  }
  const auto writer = TensorWriter::Create(path, specs);
  const auto value = static_cast<float>(loss);
  writer->AppendFloats(SourceType::kF32, {&value, 1});
  for (const Parameter& p : parameters) {
    writer->AppendFloats(SourceType::kF32, InCheckpointOrder(p, p.g));
  }
  writer->Finish();
}

void RunGrad(const GradFlags& o) {
  if (!o.common.quant.empty()) {
    throw CLI::ValidationError("--quant", "a gradient is taken of the values as the file has them");
  }
  CheckOutput(o.common, {o.out, GradientOutput()});
  Checkpoint checkpoint = CheckpointNamed(o.model);
  const Config config = ConfigOf(checkpoint);
  const auto tokens = ParseIds(o.tokens, config.vocab, "--tokens", o.model);
  ThreadPool pool(o.common.threads);
  BindOptions options;
  options.gradients = true;
  const auto network = Network::Bind(std::move(checkpoint), config, pool, options);
  const double loss = AddGradient(*network, tokens, o.l2wrap, pool);
  Write(o.out, loss, network->parameters());
}

}  // namespace

void AddGrad(CLI::App& app) {
  const auto o = std::make_shared<GradFlags>();
  CLI::App* command = AddCommand(
      app, "grad", "Write the loss of tokens[1:] given tokens[:-1], and its gradient",
      "linnet grad model.pth --tokens 1,2,3,4 --out grad.safetensors", o->common,
      [o] { RunGrad(*o); }, kThreads | kIsa);
  command->add_option("MODEL", o->model, kModelHelp)->required();
  command->add_option("--tokens", o->tokens, "Ids separated by commas")->required();
  command->add_flag("--l2wrap", o->l2wrap, "Add RWKV-LM's L2Wrap term to the gradient");
  AddOutput(*command, o->common, "--out", o->out, "The file to write")
      ->type_name("FILE")
      ->required();
}

}  // namespace linnet::cli
