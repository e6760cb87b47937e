// A model learns from nothing to say numbers backwards: the task of RWKV-LM's smallest trainer,
// which a fault in any gradient, in the recipe or in the state would spoil. Short numbers by
// default; with LINNET_DIGITS=60 (`make soak`) numbers of up to 60 digits.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "base/sanitized.h"
#include "linnet/model.h"
#include "program.h"
#include "train/token_data.h"

namespace linnet {
namespace {

// Ids: the end, ten digits, and what stands between a number and its mirror image.
constexpr int32_t kEnd = 0, kDigit = 1, kMirror = 11;
constexpr size_t kVocab = 12;

struct Task {
  size_t digits, ctx, batch, steps, documents;
};

Task TaskOf() {
  const char* wanted = std::getenv("LINNET_DIGITS");
  const size_t digits = wanted == nullptr ? 3 : std::strtoull(wanted, nullptr, 10);
  if (digits <= 3) return {3, 32, 16, 400, 20000};
  // The model, rows and recipe of RWKV-7's simplified trainer, with half of its rows a step and 4
  // of its 10 thousand steps.
  return {digits, 129, 128, 4000, 400000};
}

std::vector<int32_t> RandomNumber(size_t most, std::mt19937_64& random) {
  std::vector<int32_t> number(1 + random() % most);
  for (int32_t& digit : number) digit = kDigit + static_cast<int32_t>(random() % 10);
  return number;
}

// What follows a number is learnt, the number itself cannot be foretold.
void WriteNumbers(const std::string& name, const Task& task) {
  std::mt19937_64 random(1);
  TokenDataWriter writer(name, kVocab);
  for (size_t i = 0; i < task.documents; ++i) {
    std::vector<int32_t> tokens = RandomNumber(task.digits, random);
    const size_t length = tokens.size();
    tokens.push_back(kMirror);
    for (size_t d = length; d-- > 0;) tokens.push_back(tokens[d]);
    tokens.push_back(kEnd);
    std::vector<uint8_t> learnt(tokens.size(), 0);
    std::fill(learnt.begin() + static_cast<ptrdiff_t>(length) + 1, learnt.end(), 1);
    writer.Append(tokens, learnt);
    writer.EndDocument();
  }
  writer.Commit();
}

// Of the digits of mirrored numbers that the model has never seen, the share that it names: each
// as its likeliest next token, given the true ones before.
double DigitAccuracy(const Model& model, size_t digits) {
  std::mt19937_64 random(2);
  Workspace workspace;
  size_t right = 0, all = 0;
  for (int i = 0; i < 500; ++i) {
    std::vector<int32_t> tokens = RandomNumber(digits, random);
    const size_t length = tokens.size();
    tokens.push_back(kMirror);
    for (size_t d = length; d-- > 1;) tokens.push_back(tokens[d]);
    State state = model.NewState();
    std::vector<float> logits(tokens.size() * kVocab);
    model.Forward({tokens, &state, logits}, workspace);
    for (size_t d = 0; d < length; ++d) {
      const float* row = logits.data() + (length + d) * kVocab;
      const auto best = static_cast<int32_t>(std::max_element(row, row + kVocab) - row);
      right += best == tokens[length - 1 - d];
      ++all;
    }
  }
  return static_cast<double>(right) / static_cast<double>(all);
}

// The log of a run in ten lines.
void PrintLosses(const std::string& run) {
  std::vector<nlohmann::json> steps;
  std::istringstream lines(ReadFile(run + "/metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) steps.push_back(nlohmann::json::parse(line));
  for (size_t tenth = 1; tenth <= 10 && !steps.empty(); ++tenth) {
    const nlohmann::json& m = steps[steps.size() * tenth / 10 - 1];
    fmt::print("step {:5d}, loss {:.5f}, rate {:.2e}, gradient {:.4f}, {:.0f} tokens/s\n",
               m["step"].get<int>(), m["loss"].get<double>(), m["lr"].get<double>(),
               m["grad_norm"].get<double>(), m["tokens_per_s"].get<double>());
  }
}

TEST(DigitReversal, IsLearntFromNothing) {
  if (kSanitized)
    GTEST_SKIP() << "learning shows nothing of memory, and takes a sanitizer a minute";
  const Task task = TaskOf();
  const ScratchFolder scratch;
  const std::string start = scratch / "start.safetensors", run = scratch / "run";
  WriteNumbers(scratch / "numbers", task);
  const Outcome init =
      RunLinnet({"init", "--generation", "7", "--layers", "2", "--width", "32", "--vocab", "12",
                 "--head-size", "16", "--ranks", "train", "--dtype", "f32", start});
  ASSERT_EQ(init.exit_code, 0) << init.err;
  const double before = DigitAccuracy(Model::Open(start), task.digits);
  const Outcome train = RunLinnet({"train",
                                   "--base",
                                   start,
                                   "--data",
                                   scratch / "numbers",
                                   "--out",
                                   run,
                                   "--ctx",
                                   std::to_string(task.ctx),
                                   "--batch",
                                   std::to_string(task.batch),
                                   "--steps",
                                   std::to_string(task.steps),
                                   "--lr",
                                   "4e-3:1e-6",
                                   "--decay",
                                   "0.1",
                                   "--precision",
                                   "f32",
                                   "--every",
                                   "1000000"});
  ASSERT_EQ(train.exit_code, 0) << train.err;
  PrintLosses(run);
  const double after = DigitAccuracy(Model::Open(run + "/model.pth"), task.digits);
  fmt::print(
      "numbers of up to {} digits, {} steps of {} x {}: {:.2f} % of digits before, {:.2f} % "
      "after\n",
      task.digits, task.steps, task.batch, task.ctx, 100 * before, 100 * after);
  EXPECT_LT(before, 0.3);
  EXPECT_GE(after, 0.95);
}

}  // namespace
}  // namespace linnet
