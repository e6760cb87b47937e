#include "train/trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "linnet/error.h"
#include "models/model_of.h"
#include "ops/sum_tree.h"

namespace linnet {
namespace {

// A gradient so many times the usual one is a spike; "usual" is the median of the last steps.
constexpr double kSpike = 20;
constexpr size_t kUsualOf = 64, kUsualAtLeast = 32;

// Cuts rows and ranks at their middles until one rank is left, so that every rank has a whole
// branch of the tree in which rows are summed.
std::pair<size_t, size_t> ShareOf(size_t rows, size_t rank, size_t ranks) {
  size_t begin = 0, end = rows, first = 0, last = ranks;
  while (last - first > 1) {
    const size_t middle = (begin + end) / 2, half = (first + last) / 2;
    (rank < half ? end : begin) = middle;
    (rank < half ? last : first) = half;
  }
  return {begin, end};
}

std::vector<size_t> PartsOf(size_t floats, size_t ranks) {
  std::vector<size_t> parts;
  const size_t blocks = (floats + kAdamBlock - 1) / kAdamBlock;
  for (size_t r = 0; r < ranks; ++r) parts.push_back(blocks * r / ranks * kAdamBlock);
  parts.push_back(floats);
  return parts;
}

}  // namespace

Trainer::Trainer(Checkpoint checkpoint, const Config& config, const TrainerOptions& options,
                 ThreadPool& pool, World& world, std::span<const Adapter> adapters)
    : options_(options), pool_(pool), world_(world) {
  BindOptions bind;
  bind.gradients = true;
  bind.learns = options.learns;
  bind.trained = options.precision;
  bind.packing = options.packing;
  bind.adapters = adapters;
  network_ = Network::Bind(std::move(checkpoint), config, pool, bind);
  if (network_->parameters().empty()) {
    throw Error(ErrorKind::kBadInput, "no parameter is left to learn; loosen --freeze or --tune");
  }
  parts_ = PartsOf(network_->values().size(), world.size());
  const size_t rank = world.rank();
  optimizer_ = std::make_unique<AdamW>(*network_, parts_[rank], parts_[rank + 1], options.adam);
}

std::pair<size_t, size_t> Trainer::Share(size_t rows) const {
  return ShareOf(rows, world_.rank(), world_.size());
}

Model Trainer::AsModel() const { return ModelOf(network_); }

void Trainer::Restore(Memory memory) {
  memory_ = std::move(memory);
  network_->Repack(pool_);
}

void Trainer::Check(std::span<const SampleRow> rows) const {
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

StepReport Trainer::Step(std::span<const SampleRow> rows, size_t batch_rows, double rate) {
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
  const Sums sums = Accumulate(rows, first, learnt > 0 ? 1 / learnt : 0, 0);
  report.loss = learnt > 0 ? world_.Sum(sums.loss) / learnt : 0;
  world_.SumParts(network_->gradients(), parts_);
  report.grad_norm = GradientNorm();
  const std::string trouble = Trouble(report.grad_norm);
  if (!trouble.empty()) {
    report.trouble =
        fmt::format("step {}: {} (loss {:.4g})", memory_.steps + 1, trouble, report.loss);
    if (!options_.skip_spikes) {
      throw Error(ErrorKind::kBadInput,
                  report.trouble + "; lower --lr, or pass --skip-spikes to go on without the step");
    }
    report.skipped = true;
  } else {
    memory_.norms.push_back(report.grad_norm);
    if (memory_.norms.size() > kUsualOf) memory_.norms.erase(memory_.norms.begin());
    // As PyTorch's clip_grad_norm_.
    const double clip =
        options_.clip > 0 ? std::min(1.0, options_.clip / (report.grad_norm + 1e-6)) : 1.0;
    optimizer_->Update(++memory_.updates, rate, clip, pool_);
    world_.ShareParts(network_->values(), parts_);
    network_->Repack(pool_);
  }
  ++memory_.steps;
  return report;
}

// Leaves the sum of the rows' gradients in the network.
Trainer::Sums Trainer::Accumulate(std::span<const SampleRow> rows, size_t first, double scale,
                                  size_t depth) {
  const size_t limit = options_.rows_per_pass == 0 ? rows.size() : options_.rows_per_pass;
  const std::span<float> g = network_->gradients();
  if (rows.size() <= limit) {
    pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
      std::fill(g.begin() + begin, g.begin() + end, 0.0f);
    });
    return rows.empty() ? Sums{} : RunPass(rows, first, scale);
  }
  const size_t middle = rows.size() / 2;
  const Sums left = Accumulate(rows.first(middle), first, scale, depth + 1);
  if (halves_.size() <= depth) halves_.resize(depth + 1);
  if (halves_[depth].size() == 0) halves_[depth] = Buffer(g.size_bytes());
  auto* waiting = reinterpret_cast<float*>(halves_[depth].data());
  pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
    std::copy(g.begin() + begin, g.begin() + end, waiting + begin);
  });
  const Sums right = Accumulate(rows.subspan(middle), first + middle, scale, depth + 1);
  pool_.ForRanges(g.size(), kAdamBlock, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) g[i] = waiting[i] + g[i];
  });
  return {left.loss + right.loss};
}

Trainer::Sums Trainer::RunPass(std::span<const SampleRow> rows, size_t first, double scale) {
  std::vector<int32_t> inputs, targets;
  std::vector<Segment> segments;
  std::vector<Sequence> sequences;
  for (const SampleRow& row : rows) {
    const size_t begin = inputs.size();
    sequences.push_back({begin, row.inputs.size(), first + sequences.size()});
    for (size_t i = 0; i < row.starts.size(); ++i) {
      const size_t at = row.starts[i];
      const size_t end = i + 1 < row.starts.size() ? row.starts[i + 1] : row.inputs.size();
      segments.push_back({begin + at, end - at});
    }
    inputs.insert(inputs.end(), row.inputs.begin(), row.inputs.end());
    targets.insert(targets.end(), row.targets.begin(), row.targets.end());
  }
  const Config& c = network_->config();
  for (size_t i = 0; i < segments.size(); ++i) {
    if (i == states_.size()) {
      states_.emplace_back(StateShape{c.generation, c.layers, c.width, c.heads, c.head_size, ""});
    }
    states_[i].Reset();
    segments[i].state = states_[i].values().data();
    network_->Start(segments[i].state);
  }
  const Arena::Mark mark = arena_.mark();
  for (size_t i = 0; network_->start_learns() && i < segments.size(); ++i) {
    const size_t floats = states_[i].values().size();
    segments[i].state_grad = arena_.New<float>(floats);
    std::fill_n(segments[i].state_grad, floats, 0.0f);
  }
  Tape tape;
  Pass p{.arena = arena_,
         .pool = pool_,
         .segments = segments,
         .layout = network_->layout(),
         .exact = options_.precision == DType::kF32,
         .tape = &tape,
         .sequences = sequences,
         .recompute = options_.recompute,
         .dropout = options_.dropout,
         .dropout_seed = options_.seed * 0x9e3779b97f4a7c15u + memory_.steps};
  std::vector<double> losses(rows.size());
  network_->Loss(p, network_->Run(p, inputs), targets, {options_.l2wrap, scale}, losses);
  tape.Backward();
  if (network_->start_learns()) network_->AddStartGradients(p);
  arena_.Rewind(mark);
  return {SumInHalves(losses)};
}

double Trainer::GradientNorm() {
  const std::span<float> g = network_->gradients();
  const size_t rank = world_.rank();
  std::vector<double> blocks((g.size() + kAdamBlock - 1) / kAdamBlock);
  std::vector<size_t> parts;
  for (const size_t part : parts_) parts.push_back((part + kAdamBlock - 1) / kAdamBlock);
  const auto own = g.subspan(parts_[rank], parts_[rank + 1] - parts_[rank]);
  BlockSquares(own, pool_, std::span(blocks).subspan(parts[rank], parts[rank + 1] - parts[rank]));
  world_.ShareParts(std::span<double>(blocks), parts);
  double sum = 0;
  for (const double block : blocks) sum += block;
  return std::sqrt(sum);
}

// What is wrong with the gradients, or nothing.
std::string Trainer::Trouble(double norm) const {
  std::vector<double> past = memory_.norms;
  double usual = INFINITY;
  if (past.size() >= kUsualAtLeast) {
    std::nth_element(past.begin(), past.begin() + past.size() / 2, past.end());
    usual = past[past.size() / 2];
  }
  if (norm <= kSpike * usual && std::isfinite(norm)) return "";
  // The tensor to blame: the first that is no number, or the largest.
  const Parameter* blamed = nullptr;
  double largest = -1;
  for (const Parameter& p : network_->parameters()) {
    double sum = 0;
    for (size_t i = 0; i < p.g.rows * p.g.cols; ++i) sum += double{p.g.data[i]} * p.g.data[i];
    if (std::isfinite(sum) && sum <= largest) continue;
    blamed = &p;
    largest = sum;
    if (!std::isfinite(sum)) break;
  }
  if (!std::isfinite(norm)) {
    return fmt::format("the gradient of {} is not a number", blamed->name);
  }
  return fmt::format("the gradient norm is {:.3g}, usually {:.3g}; most of it in {}", norm, usual,
                     blamed->name);
}

double Trainer::PassSeconds(size_t length) {
  SampleRow row;
  row.inputs.assign(length, 0);
  row.targets.assign(length, 0);
  row.starts = {0};
  double best = INFINITY;
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    RunPass({&row, 1}, 0, 0);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::min(best, seconds.count());
  }
  return best;
}

uint64_t Trainer::PassBytes(size_t rows, size_t length) {
  // Two lengths of one row tell what a token takes and what every pass takes.
  const auto measure = [&](size_t tokens) {
    SampleRow row;
    row.inputs.assign(tokens, 0);
    row.targets.assign(tokens, 0);
    row.starts = {0};
    arena_ = Arena();
    RunPass({&row, 1}, 0, 0);
    return static_cast<double>(arena_.reserved_bytes());
  };
  const size_t few = std::min<size_t>(length, 16), more = 4 * few;
  const double small = measure(few), large = measure(more);
  arena_ = Arena();
  const double each = std::max(0.0, (large - small) / static_cast<double>(more - few));
  return static_cast<uint64_t>(small + each * static_cast<double>(rows * length));
}

}  // namespace linnet
