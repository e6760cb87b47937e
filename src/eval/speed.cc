#include "eval/speed.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/peaks.h"
#include "kernels/rows.h"
#include "models/schema.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

using Clock = std::chrono::steady_clock;

template <class F>
double Seconds(const F& body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// The rate of `work(thread)` per second, summed over all threads; the best of a few tries.
template <class F>
double BestRate(ThreadPool& pool, const F& work, int tries = 5) {
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    std::vector<double> done(pool.threads());
    const double seconds = Seconds([&] {
      pool.For(pool.threads(), [&](size_t task) { done[task] = static_cast<double>(work(task)); });
    });
    double sum = 0;
    for (const double d : done) sum += d;
    best = std::max(best, sum / seconds);
  }
  return best;
}

// Takes a few milliseconds.
constexpr size_t kPeakRounds = 200000;

// Per thread. Larger than all caches except those of the largest servers; a probe takes a few
// milliseconds.
constexpr size_t kProbeBytes = size_t{128} << 20;

class Machine {
 public:
  explicit Machine(size_t threads) : pool_(threads), memory_(threads * kProbeBytes) {
    std::fill(memory_.begin(), memory_.end(), std::byte{1});
    Probe();
  }

  void Probe() {
    const double giga = 1e9;
    read_.push_back(BestRate(pool_,
                             [&](size_t t) {
                               return ReadWork(memory_.data() + t * kProbeBytes, kProbeBytes);
                             }) /
                    giga);
    f32_.push_back(BestRate(pool_, [](size_t) { return F32Work(kPeakRounds); }) / giga);
    bf16_.push_back(BestRate(pool_, [](size_t) { return Bf16Work(kPeakRounds); }) / giga);
    int8_.push_back(BestRate(pool_, [](size_t) { return Int8Work(kPeakRounds); }) / giga);
  }

  MachineSpeed Result() const {
    // Products with narrower weights run in f32 where that is faster.
    const double f32 = Median(f32_);
    return {Median(read_), f32, std::max(f32, Median(bf16_)), std::max(f32, Median(int8_))};
  }

 private:
  ThreadPool pool_;
  std::vector<std::byte> memory_;
  std::vector<double> read_, f32_, bf16_, int8_;
};

// Runs once to warm up, then until there are enough samples for a stable median; a run consists of
// `pieces`. Probes the machine in between, because the speed of a shared machine can change within
// a second, but not for longer than what is measured.
template <class F>
double MedianSeconds(Machine& machine, size_t pieces, const F& piece) {
  constexpr double kEnough = 2.0;
  const size_t least = 3 * pieces, most = 15 * pieces;
  for (size_t i = 0; i < pieces; ++i) piece();
  std::vector<double> times;
  double probed = 0;
  for (double total = 0; times.size() < least || (total < kEnough && times.size() < most);) {
    times.push_back(Seconds(piece));
    total += times.back();
    if (probed <= total) probed += Seconds([&] { machine.Probe(); });
  }
  return Median(times);
}

class Runner {
 public:
  Runner(const Model& model, const SpeedOptions& options)
      : model_(model),
        vocab_(model.config().vocab),
        machine_(options.threads),
        workspace_({.threads = options.threads, .exact = options.exact}) {}

  PhaseSpeed Prompt(size_t tokens) {
    State state = model_.NewState();
    std::vector<float> logits(vocab_);
    std::vector<int32_t> ids(tokens);
    for (size_t i = 0; i < tokens; ++i) ids[i] = static_cast<int32_t>((7 * i + 1) % vocab_);
    const double seconds = MedianSeconds(machine_, 1, [&] {
      state.Reset();
      model_.Forward({ids, &state, logits}, workspace_);
    });
    const double rate = static_cast<double>(tokens) / seconds;
    // Each token attends to half of the others: products with as many keys and values.
    const double attention = static_cast<double>(PastRow().width * (tokens + 1)) / 2;
    const double macs = static_cast<double>(model_.cost().layer_macs) + attention;
    return {tokens, rate, rate * 2e-9 * macs, 0};
  }

  PhaseSpeed Decode(size_t tokens, size_t context) {
    const double rate = 1 / StepSeconds(1, tokens, context);
    const double bytes =
        static_cast<double>(model_.cost().matrix_bytes + PastRow().bytes * context);
    return {tokens, rate, 0, rate * 1e-9 * bytes};
  }

  PhaseSpeed Batch(size_t sequences) {
    constexpr size_t kSteps = 8;
    const double rate = static_cast<double>(sequences) / StepSeconds(sequences, kSteps, 0);
    const ModelCost& cost = model_.cost();
    return {sequences, rate, rate * 2e-9 * static_cast<double>(cost.layer_macs + cost.head_macs),
            0};
  }

  MachineSpeed machine() const { return machine_.Result(); }

 private:
  // The keys and values of one token in all layers; 0 without attention.
  struct Row {
    size_t width = 0, bytes = 0;
  };
  Row PastRow() const {
    const RowLayout rows(FinishedRows(model_.state_shape()));
    Row row{0, rows.token_bytes()};
    for (const RowSlot& slot : rows.slots()) row.width += slot.width;
    return row;
  }

  // Seconds of one step in which every sequence decodes a token, after `context` tokens.
  double StepSeconds(size_t sequences, size_t steps, size_t context) {
    std::vector<State> states;
    std::vector<int32_t> ids;
    for (size_t i = 0; i < sequences; ++i) {
      states.push_back(model_.NewState());
      ids.push_back(static_cast<int32_t>((31 * i + 1) % vocab_));
    }
    if (context != 0) {
      std::vector<int32_t> before(context);
      for (size_t i = 0; i < context; ++i) before[i] = static_cast<int32_t>((7 * i + 1) % vocab_);
      for (State& state : states) model_.Forward({before, &state, {}}, workspace_);
    }
    std::vector<float> logits(sequences * vocab_);
    std::vector<Turn> turns;
    for (size_t i = 0; i < sequences; ++i) {
      turns.push_back({{&ids[i], 1}, &states[i], std::span(logits).subspan(i * vocab_, vocab_)});
    }
    // About a tenth of a second, short enough that memory bandwidth stays constant.
    constexpr size_t kPieceSteps = 16;
    const size_t pieces = (steps + kPieceSteps - 1) / kPieceSteps;
    const size_t piece_steps = steps / pieces;
    const double seconds = MedianSeconds(machine_, pieces, [&] {
      for (size_t step = 0; step < piece_steps; ++step) {
        model_.Forward(turns, workspace_);
        for (size_t i = 0; i < sequences; ++i) {
          ids[i] = static_cast<int32_t>(ArgMaxRow(turns[i].logits.data(), vocab_));
        }
      }
    });
    return seconds / static_cast<double>(piece_steps);
  }

  const Model& model_;
  size_t vocab_;
  Machine machine_;
  Workspace workspace_;
};

}  // namespace

double MeasurePeak(DType format, size_t threads) {
  // Tens of milliseconds in total, longer than a host preempts a core.
  constexpr int kTries = 50;
  ThreadPool pool(threads);
  const auto peak = [&](size_t (*work)(size_t) noexcept) {
    return BestRate(
               pool, [&](size_t) { return work(kPeakRounds); }, kTries) /
           1e9;
  };
  const double f32 = peak(F32Work);
  return format == DType::kF32 ? f32 : std::max(f32, peak(Bf16Work));
}

MachineSpeed MeasureMachine(size_t threads) {
  constexpr int kProbes = 4;
  Machine machine(threads);
  for (int i = 0; i < kProbes; ++i) machine.Probe();
  return machine.Result();
}

uint64_t MemoryFor(const Model& model, const SpeedOptions& options) {
  const uint64_t floats = model.NewState().values().size() + model.config().vocab;
  const uint64_t sequences = std::max<uint64_t>(options.batch, 1);
  return kProbeBytes * options.threads + sequences * floats * sizeof(float) +
         options.prompt * sizeof(int32_t);
}

SpeedReport MeasureSpeed(const Model& model, const SpeedOptions& options) {
  const auto say = [&](const char* phase) {
    if (options.progress) options.progress(phase);
  };
  say("machine");
  Runner runner(model, options);
  SpeedReport report;
  if (options.prompt != 0) {
    say("prompt");
    report.prompt = runner.Prompt(options.prompt);
  }
  if (options.decode != 0) {
    say("decode");
    report.decode = runner.Decode(options.decode, options.context);
  }
  if (options.batch != 0) {
    say("batch");
    report.batch = runner.Batch(options.batch);
  }
  report.machine = runner.machine();
  return report;
}

}  // namespace linnet
