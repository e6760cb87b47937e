#include "train/learner.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "linnet/error.h"
#include "models/model_of.h"

namespace linnet {
namespace {

// A gradient norm is a spike if it is this many times the median of the last steps. A norm below
// the clipping threshold is never a spike: near a loss of zero, norms vary widely.
constexpr double kSpike = 20;
constexpr size_t kUsualOf = 64, kUsualAtLeast = 32;

// Splits rows and processes in half until one process is left, so that each process has a whole
// subtree of the tree in which rows are summed.
std::pair<size_t, size_t> ShareOf(size_t rows, size_t index, size_t processes) {
  size_t begin = 0, end = rows, first = 0, last = processes;
  while (last - first > 1) {
    const size_t middle = (begin + end) / 2, half = (first + last) / 2;
    (index < half ? end : begin) = middle;
    (index < half ? last : first) = half;
  }
  return {begin, end};
}

std::vector<size_t> ShardsOf(size_t floats, size_t processes) {
  std::vector<size_t> shards;
  const size_t blocks = (floats + kAdamBlock - 1) / kAdamBlock;
  for (size_t r = 0; r < processes; ++r) shards.push_back(blocks * r / processes * kAdamBlock);
  shards.push_back(floats);
  return shards;
}

}  // namespace

PassOptions PassOptionsOf(const LearnerOptions& options) {
  return {.exact = options.precision == DType::kF32,
          .recompute = options.recompute,
          .l2wrap = options.l2wrap,
          .dropout = options.dropout,
          .chunk = options.chunk,
          .bptt = options.bptt};
}

Learner::Learner(Checkpoint checkpoint, const Config& config, const LearnerOptions& options,
                 ThreadPool& pool, World& world, std::span<const Adapter> adapters)
    : options_(options), pool_(pool), world_(world) {
  CheckChunks(config, options.chunk);
  BindOptions bind;
  bind.gradients = true;
  bind.learns = options.learns;
  bind.trained = options.precision;
  bind.packing = options.packing;
  bind.adapters = adapters;
  network_ = Network::Bind(std::move(checkpoint), config, pool, bind);
  if (network_->parameters().empty()) {
    throw Error(ErrorKind::kBadInput, "no parameter is left to learn", Remedy::kLearnMore);
  }
  const auto named = network_->checkpoint().tensors();
  learns_all_ = adapters.empty() &&
                (!options.learns || std::all_of(named.begin(), named.end(), [&](const auto& t) {
                  return options.learns(t.name);
                }));
  replicas_ = std::make_unique<Replicas>(*network_, PassOptionsOf(options), pool);
  shards_ = ShardsOf(network_->values().size(), world.size());
  const size_t index = world.index();
  optimizer_ = std::make_unique<AdamW>(*network_, shards_[index], shards_[index + 1], options.adam);
}

std::pair<size_t, size_t> Learner::Share(size_t rows) const {
  return ShareOf(rows, world_.index(), world_.size());
}

Model Learner::AsModel() const { return ModelOf(network_); }

void Learner::Restore(Memory memory) {
  memory_ = std::move(memory);
  network_->Repack(pool_);
}

void Learner::Check(std::span<const SampleRow> rows) const {
  const auto vocab = static_cast<int32_t>(network_->config().vocab);
  for (const SampleRow& row : rows) {
    for (const auto* ids : {&row.inputs, &row.targets}) {
      const int32_t lowest = ids == &row.targets ? -1 : 0;
      for (const int32_t id : *ids) {
        if (id >= lowest && id < vocab) continue;
        throw Error(ErrorKind::kBadInput,
                    fmt::format("the data has token {}, this model's vocabulary ends at {}; build "
                                "the data with the model's own vocabulary",
                                id, vocab - 1));
      }
    }
  }
}

StepReport Learner::Step(std::span<const SampleRow> rows, size_t batch_rows, double rate) {
  Check(rows);
  double own = 0;
  for (const SampleRow& row : rows) {
    own += static_cast<double>(
        std::count_if(row.targets.begin(), row.targets.end(), [](int32_t id) { return id >= 0; }));
  }
  const double learnt = world_.Sum(own);
  StepReport report;
  report.tokens = static_cast<uint64_t>(learnt);
  const size_t first = Share(batch_rows).first;
  const double loss = Accumulate(rows, first, learnt > 0 ? 1 / learnt : 0, 0);
  report.loss = learnt > 0 ? world_.Sum(loss) / learnt : 0;
  world_.ReduceScatter(network_->gradients(), shards_);
  report.grad_norm = GradientNorm();
  const double usual = UsualNorm();
  if (!std::isfinite(report.grad_norm)) {
    LeaveOut(report, OddGradient(report.loss));
  } else if (report.grad_norm > std::max(kSpike * usual, options_.clip)) {
    LeaveOut(report, fmt::format("the gradient norm is {:.3g}, usually {:.3g}; most of it in {}",
                                 report.grad_norm, usual, BlamedGradient(true)));
  } else {
    skipped_ = 0;
    memory_.norms.push_back(report.grad_norm);
    if (memory_.norms.size() > kUsualOf) memory_.norms.erase(memory_.norms.begin());
    // As in PyTorch's clip_grad_norm_.
    const double clip =
        options_.clip > 0 ? std::min(1.0, options_.clip / (report.grad_norm + 1e-6)) : 1.0;
    optimizer_->Update(++memory_.updates, rate, clip, pool_);
    world_.AllGather(network_->values(), shards_);
    network_->Repack(pool_);
  }
  ++memory_.steps;
  return report;
}

size_t Learner::RowsPerPass(size_t rows) const {
  const size_t limit = options_.rows_per_pass == 0 ? rows : options_.rows_per_pass;
  return std::min({rows, limit, replicas_->most_rows()});
}

// Leaves the sum of the rows' gradients in the network; returns the sum of their losses.
double Learner::Accumulate(std::span<const SampleRow> rows, size_t first, double scale,
                           size_t depth) {
  const std::span<float> g = network_->gradients();
  if (rows.size() <= RowsPerPass(rows.size())) {
    if (rows.empty()) {
      std::fill(g.begin(), g.end(), 0.0f);
      return 0;
    }
    const uint64_t dropout_seed = options_.seed * 0x9e3779b97f4a7c15u + memory_.steps;
    return replicas_->Learn(rows, first, scale, dropout_seed);
  }
  const size_t middle = rows.size() / 2;
  const double left = Accumulate(rows.first(middle), first, scale, depth + 1);
  if (halves_.size() <= depth) halves_.resize(depth + 1);
  if (halves_[depth].size() == 0) halves_[depth] = Buffer(g.size_bytes());
  auto* waiting = reinterpret_cast<float*>(halves_[depth].data());
  pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
    std::copy(g.begin() + begin, g.begin() + end, waiting + begin);
  });
  const double right = Accumulate(rows.subspan(middle), first + middle, scale, depth + 1);
  pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) g[i] = waiting[i] + g[i];
  });
  return left + right;
}

double Learner::GradientNorm() {
  const std::span<float> g = network_->gradients();
  const size_t index = world_.index();
  std::vector<double> blocks((g.size() + kAdamBlock - 1) / kAdamBlock);
  std::vector<size_t> shards;
  for (const size_t shard : shards_) shards.push_back((shard + kAdamBlock - 1) / kAdamBlock);
  const auto own = g.subspan(shards_[index], shards_[index + 1] - shards_[index]);
  BlockSquares(own, pool_,
               std::span(blocks).subspan(shards[index], shards[index + 1] - shards[index]));
  world_.AllGather(std::span<double>(blocks), shards);
  double sum = 0;
  for (const double block : blocks) sum += block;
  return std::sqrt(sum);
}

// The median norm of the last steps; infinite if there are too few.
double Learner::UsualNorm() const {
  std::vector<double> past = memory_.norms;
  if (past.size() < kUsualAtLeast) return INFINITY;
  std::nth_element(past.begin(), past.begin() + past.size() / 2, past.end());
  return past[past.size() / 2];
}

// The tensor with the largest gradient. If some are not finite, the last such tensor of the model:
// backpropagation runs from last to first, so a NaN spreads to the tensors before it.
std::string Learner::BlamedGradient(bool finite) const {
  const Parameter* blamed = nullptr;
  double largest = -1;
  const float* all = network_->gradients().data();
  for (const Parameter& p : network_->parameters()) {
    // Each process has the sums of its own shard only.
    const auto at = static_cast<size_t>(p.g.data - all);
    const size_t begin = std::max(at, shards_[world_.index()]);
    const size_t end = std::min(at + p.g.rows * p.g.cols, shards_[world_.index() + 1]);
    double own = 0;
    for (size_t i = begin; i < end; ++i) own += double{all[i]} * all[i];
    const double sum = world_.Sum(own);
    if (finite ? sum <= largest : std::isfinite(sum)) continue;
    blamed = &p;
    largest = sum;
  }
  return blamed == nullptr ? "" : blamed->name;
}

// Describes why loss or gradient is not finite. Throws BadStep if a value is not finite, which no
// later step can repair.
std::string Learner::OddGradient(double loss) const {
  const auto step = memory_.steps + 1;
  const std::string learnt = BadLearntValue(*network_);
  if (!learnt.empty()) {
    const bool from_the_start = memory_.updates == 0;
    throw BadStep(
        fmt::format("step {}: {}{}", step, learnt,
                    from_the_start ? "; the model that the run began with is broken" : ""),
        false, from_the_start ? Remedy::kNone : Remedy::kLowerRate);
  }
  const std::string frozen = BadFrozenValue(*network_);
  if (!frozen.empty()) {
    throw BadStep(fmt::format("step {}: {}; the base is broken", step, frozen), false);
  }
  if (std::isfinite(loss)) {
    return fmt::format("the gradient of {} is not a number", BlamedGradient(false));
  }
  return "the loss is not a number; " + LargestLearntValue(*network_);
}

// Throws BadStep if the step must not be skipped.
void Learner::LeaveOut(StepReport& report, const std::string& trouble) {
  report.trouble =
      fmt::format("step {}: {} (loss {:.4g})", memory_.steps + 1, trouble, report.loss);
  const bool sound = std::isfinite(report.loss);
  if (!options_.skip_spikes) {
    throw BadStep(report.trouble, sound, Remedy::kSkipStep);
  }
  if (skipped_ + 1 >= kMostSkipped) {
    throw BadStep(fmt::format("{}; so were the {} steps before", report.trouble, kMostSkipped - 1),
                  sound, Remedy::kLowerRate);
  }
  ++skipped_;
  report.skipped = true;
}

}  // namespace linnet
