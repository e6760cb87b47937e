// linnet train --trace: a few steps on given rows, for comparison with the reference trainer.
#include <fmt/format.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cli.h"
#include "cli/model.h"
#include "cli/texts.h"
#include "cli/train.h"
#include "linnet/error.h"
#include "models/builtin_model.h"
#include "models/detect.h"
#include "train/learner.h"
#include "train/schedule.h"

namespace linnet::cli {
namespace {

using Batches = std::vector<std::vector<std::vector<int32_t>>>;

// {"tokens": [steps][rows][length + 1]}
Batches ReadBatches(const std::string& path) {
  const auto trace = nlohmann::json::parse(ReadText(path), nullptr, false);
  try {
    auto batches = trace.at("tokens").get<Batches>();
    for (const auto& rows : batches) {
      if (rows.empty()) throw Error(ErrorKind::kBadInput, path + ": a step has no rows");
      for (const auto& row : rows) {
        if (row.size() < 2) {
          throw Error(ErrorKind::kBadInput,
                      path +
                          ": a row of a step has fewer than two tokens, expected a context and "
                          "what follows it");
        }
      }
    }
    if (!batches.empty()) return batches;
  } catch (const nlohmann::json::exception&) {
  }
  throw Error(ErrorKind::kBadInput,
              path + ": is not a trace, expected {\"tokens\": [steps][rows][length + 1]}");
}

std::vector<SampleRow> RowsOf(const std::vector<std::vector<int32_t>>& rows) {
  std::vector<SampleRow> out;
  out.reserve(rows.size());
  for (const auto& row : rows) {
    out.push_back({{row.begin(), row.end() - 1}, {row.begin() + 1, row.end()}, {0}});
  }
  return out;
}

// Unused tensors of the file, such as v0 in v7's first layer, keep their values.
std::map<std::string, double> SumsOfAll(const Network& network) {
  std::map<std::string, double> sums;
  for (const Parameter& p : network.parameters()) {
    double& sum = sums[p.name];
    for (size_t i = 0; i < p.v.rows * p.v.cols; ++i) sum += std::abs(double{p.v.data[i]});
  }
  for (const TensorView& t : network.checkpoint().tensors()) {
    if (sums.count(t.name) != 0 || !IsFloat(t.type)) continue;
    for (const float x : ReadAll(t)) sums[t.name] += std::abs(double{x});
  }
  return sums;
}

}  // namespace

void RunTrace(const CommonOptions& common, const std::string& base, const std::string& trace,
              const LearnerOptions& options, Schedule schedule) {
  const Batches batches = ReadBatches(trace);
  Checkpoint checkpoint = CheckpointNamed(base);
  const Config config = ConfigOf(checkpoint);
  ThreadPool pool(common.threads);
  World alone;
  Learner learner(std::move(checkpoint), config, options, pool, alone);
  schedule.steps = batches.size();
  nlohmann::ordered_json result;
  for (const auto& batch : batches) {
    const double rate = schedule.LearningRate(learner.steps());
    const auto rows = RowsOf(batch);
    const StepReport report = learner.Step(rows, rows.size(), rate);
    result["loss"].push_back(report.loss);
    result["lr"].push_back(rate);
    result["grad_norm"].push_back(report.grad_norm);
  }
  for (const auto& [name, sum] : SumsOfAll(learner.network())) result["sum_abs_after"][name] = sum;
  Print(result.dump() + "\n");
}

}  // namespace linnet::cli
