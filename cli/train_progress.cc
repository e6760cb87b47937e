#include "cli/train_progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include "base/memory.h"
#include "cli/train_start.h"
#include "eval/speed.h"
#include "linnet/error.h"
#include "text/columns.h"

namespace linnet::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kStepRedraw = std::chrono::milliseconds(200);
constexpr auto kStepLine = std::chrono::seconds(10);

std::string Count(double n) {
  if (n >= 1e9) return fmt::format("{:.2f} billion", n / 1e9);
  if (n >= 1e6) return fmt::format("{:.2f} million", n / 1e6);
  return fmt::format("{:.0f}", n);
}

double GB(uint64_t bytes) { return static_cast<double>(bytes) / 1e9; }

}  // namespace

TrainProgress::TrainProgress(const CommonOptions& common, const TrainFlags& flags, Learner& learner,
                             World& world, const TokenData& data, const RunOptions& run,
                             std::string sampling, uint64_t rows_per_epoch)
    : common_(common),
      flags_(flags),
      learner_(learner),
      world_(world),
      data_(data),
      run_(run),
      sampling_(std::move(sampling)),
      rows_per_epoch_(rows_per_epoch),
      next_(Clock::now()) {
  const ModelCost& cost = learner.network().cost();
  // Forward and input gradients for all matrices; weight gradients for trained ones only.
  const auto macs = static_cast<double>(cost.layer_macs + cost.head_macs);
  const auto learning = static_cast<double>(learner.network().values().size());
  flops_per_token_ = 4.0 * macs + 2.0 * std::min(macs, learning);
}

void TrainProgress::Plan() {
  const Network& network = learner_.network();
  const Config& c = network.config();
  const auto learning = static_cast<double>(network.values().size());
  const auto [first_row, last_row] = learner_.Share(run_.batch_rows);
  const size_t share = last_row - first_row, rows = learner_.RowsPerPass(share);
  const uint64_t pass = learner_.replicas().Bytes(rows, flags_.ctx);
  // One more partial gradient is stored per level of the tree in which passes are summed.
  size_t levels = 0;
  while ((rows << levels) < share) ++levels;
  const uint64_t waiting = levels * network.values().size_bytes();
  const uint64_t matrices = network.cost().layer_macs + network.cost().head_macs;
  const uint64_t scored = world_.index() == 0 && ScoresCopy(flags_)
                              ? matrices * (flags_.precision == "f32" ? 4 : 2)
                              : 0;
  const uint64_t held = ResidentMemory(), left = AvailableMemory();
  // Values are resident already; gradients and this process's shard of both moments are not.
  const uint64_t bytes = network.values().size_bytes();
  const uint64_t rest = bytes + 2 * bytes / world_.size() + waiting + pass + scored;
  const auto step_tokens = static_cast<double>(run_.batch_rows * flags_.ctx);
  const auto steps = static_cast<double>(run_.schedule.steps);
  CheckFits(common_, rest, left);
  peak_gflops_ =
      MeasurePeak(flags_.precision == "f32" ? DType::kF32 : DType::kBF16, common_.threads);
  peak_gflops_ = world_.Sum(peak_gflops_);
  const double passes = static_cast<double>(share) / static_cast<double>(std::max<size_t>(rows, 1));
  const double seconds = learner_.replicas().Seconds(rows, flags_.ctx) * passes;
  if (world_.index() != 0) return;
  const std::string what =
      flags_.chunk == 0 ? fmt::format("{} rows", rows) : fmt::format("{} tokens", flags_.chunk);
  Say(fmt::format(
      "model: RWKV-{}, {} layers, width {}, vocabulary {}; {} values learn, in {}\n"
      "data: {} tokens in {} documents, {} rows of {} an epoch, by {}\n"
      "steps: {} of {} tokens, {} tokens in all, {:.2f} epochs\n"
      "memory: {:.2f} GB{}, {:.2f} of it for a pass of {}; {:.2f} GB are available\n",
      Name(c.generation), c.layers, c.width, c.vocab, Count(learning), flags_.precision,
      Count(static_cast<double>(data_.tokens())), data_.documents(), rows_per_epoch_, flags_.ctx,
      sampling_, run_.schedule.steps, step_tokens, Count(step_tokens * steps),
      steps * static_cast<double>(run_.batch_rows) / static_cast<double>(rows_per_epoch_),
      GB(held + rest), world_.size() > 1 ? " a process" : "", GB(pass), what, GB(left)));
  Say(fmt::format("time: about {} for {} steps on this machine\n",
                  Duration(seconds * (steps - static_cast<double>(learner_.steps()))),
                  run_.schedule.steps - learner_.steps()));
}

std::string TrainProgress::Line(const StepMetrics& m, size_t columns) const {
  const double rate = static_cast<double>(m.report.tokens) / seconds_;
  const double peak = 100 * rate * flops_per_token_ / 1e9 / std::max(peak_gflops_, 1.0);
  // The number is the priority, 0 the highest, if there is no room for all parts.
  std::vector<LinePart> shards = {
      {fmt::format("step {}/{}", m.step, m.steps), 0},
      {fmt::format("loss {:.4f}", loss_), 1},
      {fmt::format("lr {:.2e}", m.rate), 5},
      {fmt::format("norm {:.2f}", m.report.grad_norm), 6},
      {fmt::format("{:.0f} tokens/s", rate), 4},
      {fmt::format("({:.1f} % of peak)", peak), 7},
      {Duration(seconds_ * static_cast<double>(m.steps - m.step)) + " left", 3}};
  if (valid_) shards.push_back({fmt::format("valid {:.4f} bits/byte", valid_->bits_per_byte), 2});
  return JoinToFit(std::move(shards), columns);
}

std::string TrainProgress::LineWithBar(const StepMetrics& m) const {
  constexpr size_t kBar = 22, kLeast = 12;
  const size_t columns = line_.columns();
  std::string line = Line(m, columns);
  const size_t used = Columns(line) + 1;
  if (columns < used + kLeast) return line;
  const double share = static_cast<double>(m.step) / static_cast<double>(m.steps);
  return Bar(share, std::min(kBar, columns - used)) + " " + line;
}

void TrainProgress::Show(const StepMetrics& m) {
  // Smoothed over about twenty steps; the first steps are averaged equally.
  const double share = std::max(0.05, 1.0 / static_cast<double>(++shown_));
  loss_ += share * (m.report.loss - loss_);
  seconds_ += share * (m.seconds - seconds_);
  if (m.valid) valid_ = m.valid;
  last_ = m;
  if (m.report.skipped) Say(fmt::format("skipped {}\n", m.report.trouble));
  const auto now = Clock::now();
  if (!m.valid && now < next_ && m.step != m.steps) return;
  next_ = now + (line_.terminal() ? Clock::duration(kStepRedraw) : Clock::duration(kStepLine));
  if (!line_.terminal()) {
    Say(Line(m, SIZE_MAX) + "\n");
  } else if (m.valid) {
    line_.Keep(LineWithBar(m));
  } else {
    line_.Draw(LineWithBar(m));
  }
}

void TrainProgress::End(RunEnd end) {
  std::vector<double> resident(world_.size());
  std::vector<size_t> shards(world_.size() + 1);
  std::iota(shards.begin(), shards.end(), size_t{0});
  resident[world_.index()] = static_cast<double>(PeakMemory()) / 1e6;
  world_.AllGather(std::span(resident), shards);
  if (world_.index() != 0) return;
  const char* how = end == RunEnd::kDone          ? "done"
                    : end == RunEnd::kInterrupted ? "interrupted"
                                                  : "stopped: validation no longer improves";
  const char* before = shown_ == 0 ? "nothing is left to do: " : "";
  // A step with a validation has already printed its line.
  if (shown_ > 0 && !last_.valid) line_.Keep(LineWithBar(last_));
  Say(fmt::format("{}{} after step {}; {}\n", before, how, learner_.steps(),
                  end == RunEnd::kInterrupted
                      ? "go on with --resume"
                      : "the result is " + (run_.out / run_.results.front()).string()));
  if (!common_.json) return;
  using Ordered = nlohmann::ordered_json;
  const bool any = shown_ > 0;  // steps in this call
  Ordered result = {{"steps", learner_.steps()},
                    {"tokens", any ? Ordered(last_.tokens) : Ordered()},
                    {"loss", any ? Ordered(last_.report.loss) : Ordered()},
                    {"finished", end != RunEnd::kInterrupted},
                    {"peak_resident_mb", resident}};
  if (valid_) result["valid_bits_per_byte"] = valid_->bits_per_byte;
  Print(result.dump() + "\n");
}

}  // namespace linnet::cli
