#include "train/passes.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/check.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/schema.h"
#include "ops/sum_tree.h"

namespace linnet {
namespace {

SampleRow RowOfZeros(size_t length) {
  SampleRow row;
  row.inputs.assign(length, 0);
  row.targets.assign(length, 0);
  row.starts = {0};
  return row;
}

}  // namespace

void CheckChunks(const Config& config, size_t chunk) {
  if (chunk == 0 || !HasAttention(config.generation)) return;
  throw Error(
      ErrorKind::kBadInput,
      fmt::format("chunks of {} tokens: the attention of RWKV-{} reads all past tokens of a "
                  "row, which chunks do not hand on",
                  chunk, Name(config.generation)),
      Remedy::kWholeRows);
}

Passes::Passes(const Network& network, const PassOptions& options, ThreadPool& pool)
    : network_(network),
      options_(options),
      pool_(pool),
      state_floats_(network.strides().floats()) {}

size_t Passes::ChunksTogether(size_t length) const {
  const size_t chunks = (length + options_.chunk - 1) / options_.chunk;
  return options_.bptt == 0 ? chunks : std::min(options_.bptt, chunks);
}

double Passes::Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
                     uint64_t dropout_seed) {
  LINNET_CHECK(rows.size() <= most_rows());
  if (options_.chunk != 0) return LearnInChunks(rows.front(), first, scale, dropout_seed);
  std::vector<Chunk> chunks;
  for (const SampleRow& row : rows) chunks.push_back({&row, 0, row.inputs.size(), first++});
  return Run(chunks, scale, dropout_seed, {});
}

// A document that begins in a chunk starts from a fresh state. One that continues from the previous
// chunk starts from the state `before`; it can only be the first of a pass.
Passes::Layout Passes::LayoutOf(std::span<const Chunk> chunks, const float* before) {
  Layout out;
  for (const Chunk& chunk : chunks) {
    const SampleRow& row = *chunk.row;
    const size_t offset = out.inputs.size();
    out.sequences.push_back({offset, chunk.end - chunk.begin, chunk.index, chunk.begin});
    const auto begins = std::lower_bound(row.starts.begin(), row.starts.end(), chunk.begin);
    size_t at = chunk.begin;
    const auto add = [&](size_t end) {
      if (end > at) out.segments.push_back({offset + (at - chunk.begin), end - at});
      at = end;
    };
    for (auto it = begins; it != row.starts.end() && *it < chunk.end; ++it) add(*it);
    add(chunk.end);
    out.continues |= begins == row.starts.end() || *begins != chunk.begin;
    out.inputs.insert(out.inputs.end(), row.inputs.begin() + chunk.begin,
                      row.inputs.begin() + chunk.end);
    out.targets.insert(out.targets.end(), row.targets.begin() + chunk.begin,
                       row.targets.begin() + chunk.end);
  }
  for (size_t i = 0; i < out.segments.size(); ++i) {
    if (i == states_.size()) states_.emplace_back(StateShapeOf(network_.config()));
    out.segments[i].state = states_[i].values().data();
    if (i == 0 && out.continues) {
      std::copy_n(before, state_floats_, out.segments[i].state);
    } else {
      states_[i].Reset();
      network_.Start(out.segments[i].state);
    }
  }
  return out;
}

Pass Passes::NewPass(const Layout& layout, uint64_t dropout_seed, Tape* tape) {
  return {.arena = arena_,
          .pool = pool_,
          .segments = layout.segments,
          .strides = network_.strides(),
          .exact = options_.exact,
          .tape = tape,
          .sequences = layout.sequences,
          .recompute = options_.recompute,
          .dropout = options_.dropout,
          .dropout_seed = dropout_seed};
}

double Passes::Run(std::span<const Chunk> chunks, double scale, uint64_t dropout_seed,
                   Carried carried) {
  Layout layout = LayoutOf(chunks, carried.before);
  auto& segments = layout.segments;
  const Arena::Scope scope(arena_);
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool first = i == 0, last = i + 1 == segments.size();
    const bool hands_on = carried.gradient != nullptr && (first || last);
    if (!hands_on && !network_.start_learns()) continue;
    segments[i].state_grad = arena_.New<float>(state_floats_);
    if (hands_on && last) {
      std::copy_n(carried.gradient, state_floats_, segments[i].state_grad);
    } else {
      std::fill_n(segments[i].state_grad, state_floats_, 0.0f);
    }
  }
  Tape tape;
  Pass p = NewPass(layout, dropout_seed, &tape);
  std::vector<double> losses(chunks.size());
  network_.Loss(p, network_.Run(p, layout.inputs), layout.targets, {options_.l2wrap, scale},
                losses);
  if (carried.after != nullptr) {
    std::copy_n(segments.back().state, state_floats_, carried.after);
  }
  tape.Backward();
  if (carried.gradient != nullptr && layout.continues) {
    std::copy_n(segments.front().state_grad, state_floats_, carried.gradient);
  } else if (carried.gradient != nullptr) {
    std::fill_n(carried.gradient, state_floats_, 0.0f);
  }
  if (network_.start_learns()) {
    p.segments = std::span(segments).subspan(layout.continues ? 1 : 0);
    network_.AddStartGradients(p);
  }
  return SumInHalves(losses);
}

// Computes only the state after a chunk: tokens before its last document do not matter.
void Passes::Advance(const Chunk& chunk, uint64_t dropout_seed, const float* before, float* after) {
  Chunk last = chunk;
  const auto& starts = chunk.row->starts;
  const auto next = std::lower_bound(starts.begin(), starts.end(), chunk.end);
  if (next != starts.begin()) last.begin = std::max<size_t>(chunk.begin, *(next - 1));
  const Arena::Scope scope(arena_);
  const Layout layout = LayoutOf({&last, 1}, before);
  Pass p = NewPass(layout, dropout_seed, nullptr);
  network_.Run(p, layout.inputs);
  std::copy_n(layout.segments.back().state, state_floats_, after);
}

// Chunks whose gradients depend on each other run forward once to get the state before each. Then,
// from last to first, each runs forward again with a tape, and backward.
double Passes::LearnInChunks(const SampleRow& row, uint64_t index, double scale,
                             uint64_t dropout_seed) {
  const size_t length = row.inputs.size();
  const size_t chunks = (length + options_.chunk - 1) / options_.chunk;
  const size_t together = ChunksTogether(length);
  const auto chunk = [&](size_t i) {
    return Chunk{&row, i * options_.chunk, std::min((i + 1) * options_.chunk, length), index};
  };
  kept_.resize(together * state_floats_);
  after_.resize(state_floats_);
  gradient_.resize(state_floats_);
  const auto before = [&](size_t i) { return kept_.data() + i % together * state_floats_; };
  double loss = 0;
  for (size_t first = 0; first < chunks; first += together) {
    const size_t last = std::min(first + together, chunks) - 1;
    for (size_t i = first; i < last; ++i) Advance(chunk(i), dropout_seed, before(i), before(i + 1));
    std::fill(gradient_.begin(), gradient_.end(), 0.0f);
    for (size_t i = last + 1; i-- > first;) {
      const Chunk one = chunk(i);
      loss += Run({&one, 1}, scale, dropout_seed,
                  {.before = before(i),
                   .after = i == last ? after_.data() : nullptr,
                   .gradient = together > 1 ? gradient_.data() : nullptr});
    }
    std::copy(after_.begin(), after_.end(), kept_.begin());  // the next chunks continue from here
  }
  return loss;
}

uint64_t Passes::Bytes(size_t rows, size_t length) {
  // Two row lengths give the cost per token and the fixed cost per pass.
  const auto measure = [&](size_t tokens) {
    const SampleRow row = RowOfZeros(tokens);
    const Chunk whole{&row, 0, tokens, 0};
    arena_ = Arena();
    Run({&whole, 1}, 0, 0, {});
    return static_cast<double>(arena_.most_bytes());
  };
  const size_t few = std::min<size_t>(length, 16), more = 4 * few;
  const double small = measure(few), large = measure(more);
  arena_ = Arena();
  const double each = std::max(0.0, (large - small) / static_cast<double>(more - few));
  if (options_.chunk == 0) {
    return static_cast<uint64_t>(small + each * static_cast<double>(rows * length));
  }
  const size_t tokens = std::min(options_.chunk, length);
  // The states before each chunk and after the last, and their gradients.
  const size_t states = ChunksTogether(length) + 4;
  return static_cast<uint64_t>(small + each * static_cast<double>(tokens)) +
         states * state_floats_ * sizeof(float);
}

double Passes::Seconds(size_t length) {
  const auto measure = [&](size_t tokens) {
    const SampleRow row = RowOfZeros(tokens);
    double best = INFINITY;
    for (int i = 0; i < 2; ++i) {
      const auto start = std::chrono::steady_clock::now();
      Learn({&row, 1}, 0, 0, 0);
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      best = std::min(best, seconds.count());
    }
    return best;
  };
  if (options_.chunk == 0 || length <= 2 * options_.chunk) return measure(length);
  // The second and later chunks also run forward once more to get the state before them.
  const double one = measure(options_.chunk), two = measure(2 * options_.chunk);
  const auto chunks = static_cast<double>(length) / static_cast<double>(options_.chunk);
  return one + std::max(one, two - one) * (chunks - 1);
}

}  // namespace linnet
