// The time of a training step: forward and backward of a model over a batch of sequences.
//
//   build/linnet init --random --generation 7 --layers 12 --width 384 --vocab 8192 m.safetensors
//   build/bench/train_bench m.safetensors 8 512 3
//   perf record build/bench/train_bench m.safetensors 8 512 3
#include <fmt/format.h>
#include <sys/resource.h>

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <random>

#include "base/arena.h"
#include "linnet/error.h"
#include "linnet/state.h"
#include "models/detect.h"
#include "models/network.h"

namespace linnet {
namespace {

// CPU seconds of all threads, which other programs affect less than the elapsed time.
double Used() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

void Run(const char* path, size_t batch, size_t tokens, int steps, bool exact) {
  ThreadPool pool(AvailableCores());
  Checkpoint checkpoint(path);
  const Config c = ConfigOf(checkpoint);
  const auto network = Network::Bind(std::move(checkpoint), c, pool, {.gradients = true});
  std::mt19937 random(1);
  std::vector<int32_t> ids(batch * tokens), targets(batch * tokens);
  for (auto* all : {&ids, &targets}) {
    for (int32_t& id : *all) id = static_cast<int32_t>(random() % c.vocab);
  }
  Arena arena;
  const Arena::Mark start = arena.mark();
  for (int step = 0; step < steps; ++step) {
    std::vector<State> states;
    std::vector<Segment> segments;
    std::vector<TrainingSequence> sequences;
    for (size_t i = 0; i < batch; ++i) {
      states.emplace_back(StateShape{c.generation, c.layers, c.width, c.heads, c.head_size, ""});
    }
    for (size_t i = 0; i < batch; ++i) {
      segments.push_back({i * tokens, tokens, states[i].values().data()});
      sequences.push_back({i * tokens, tokens});
    }
    Tape tape;
    Pass p{.arena = arena,
           .pool = pool,
           .segments = segments,
           .strides = network->strides(),
           .exact = exact,
           .tape = &tape,
           .sequences = sequences};
    const double begin = Now(), used = Used();
    const Var x = network->Run(p, ids);
    const double body = Now();
    const double share = 1.0 / static_cast<double>(ids.size());
    std::vector<double> losses(batch);
    network->Loss(p, x, targets, {false, share}, losses);
    const double loss = std::accumulate(losses.begin(), losses.end(), 0.0) * share;
    const double forward = Now();
    tape.Backward();
    const double end = Now();
    fmt::print(
        "loss {:.4f}: forward {:.3f} s, head and loss {:.3f} s, backward {:.3f} s; "
        "{:.2f} CPU seconds, {:.0f} tokens/s, {} MB\n",
        loss, body - begin, forward - body, end - forward, Used() - used,
        static_cast<double>(ids.size()) / (end - begin), arena.reserved_bytes() >> 20);
    arena.Rewind(start);
  }
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: train_bench MODEL [SEQUENCES [TOKENS [STEPS [exact]]]]\n");
    return 1;
  }
  const auto number = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  try {
    linnet::Run(argv[1], static_cast<size_t>(number(2, 8)), static_cast<size_t>(number(3, 512)),
                number(4, 3), argc > 5);
  } catch (const linnet::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
  return 0;
}
