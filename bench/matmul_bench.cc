// Matrix products relative to the machine's peaks.
//   matmul_bench --benchmark_repetitions=5 --benchmark_report_aggregates_only=true
// One row is compared to the read bandwidth (the weights are spread over 1 GB, larger than any
// cache), many rows to multiply-adds in registers.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <new>
#include <random>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/isa.h"
#include "kernels/matmul.h"
#include "kernels/peaks.h"

namespace linnet {
namespace {

constexpr size_t kBeyondCache = size_t{1} << 30;

struct Aligned {
  explicit Aligned(size_t bytes)
      : data(static_cast<std::byte*>(::operator new(bytes, std::align_val_t(4096)))) {}
  ~Aligned() { ::operator delete(data, std::align_val_t(4096)); }
  Aligned(const Aligned&) = delete;
  std::byte* data;
};

using benchmark::Counter;

void ReadBandwidth(benchmark::State& state) {
  ThreadPool pool(static_cast<size_t>(state.range(0)));
  const Aligned memory(kBeyondCache);
  std::fill_n(memory.data, kBeyondCache, std::byte{1});
  constexpr size_t kTasks = 64;
  for (auto _ : state) {
    pool.For(kTasks, [&](size_t task) {
      ReadWork(memory.data + kBeyondCache / kTasks * task, kBeyondCache / kTasks);
    });
  }
  const auto bytes = static_cast<double>(kBeyondCache) * static_cast<double>(state.iterations());
  state.counters["GB/s"] = Counter(bytes / 1e9, Counter::kIsRate);
}

void Peak(benchmark::State& state, size_t (*work)(size_t rounds)) {
  ThreadPool pool(static_cast<size_t>(state.range(0)));
  size_t flops = 0;
  for (auto _ : state) {
    std::vector<size_t> done(pool.threads());
    pool.For(done.size(), [&](size_t task) { done[task] = work(1 << 18); });
    for (const size_t count : done) flops += count;
  }
  state.counters["GFLOP/s"] = Counter(static_cast<double>(flops) / 1e9, Counter::kIsRate);
}

void FillRandom(std::vector<float>& values) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (float& value : values) value = normal(random);
}

// Arguments: rows, outputs, inputs, threads.
void Product(benchmark::State& state, DType dtype, Activation form) {
  const auto rows = static_cast<size_t>(state.range(0));
  const auto outputs = static_cast<size_t>(state.range(1));
  const auto inputs = static_cast<size_t>(state.range(2));
  ThreadPool pool(static_cast<size_t>(state.range(3)));

  const size_t bytes = PackedBytes(dtype, outputs, inputs);
  const size_t copies = rows < 32 ? (kBeyondCache + bytes - 1) / bytes : 1;
  const Aligned packed(bytes * copies);
  std::vector<float> source(kPanelRows * inputs), x(rows * inputs), y(rows * outputs);
  FillRandom(source);
  FillRandom(x);
  for (size_t at = 0; at < bytes * copies; at += PanelBytes(dtype, inputs)) {
    PackPanel(dtype, source.data(), inputs, kPanelRows, inputs, packed.data + at);
  }
  const Mat<const float> in{x.data(), rows, inputs, inputs};
  const Aligned prepared(ActivationBytes(form, inputs) * rows);

  size_t copy = 0;
  for (auto _ : state) {
    Activations a{form, reinterpret_cast<const std::byte*>(x.data()), rows, inputs * 4};
    if (form != Activation::kF32) {
      PrepareActivations(form, in, prepared.data);
      a.data = prepared.data;
      a.stride = ActivationBytes(form, inputs);
    }
    const Weight w{dtype, outputs, inputs, packed.data + copy * bytes};
    const size_t tasks = pool.threads() == 1 ? 1 : 4 * pool.threads();
    pool.For(tasks, [&](size_t task) {
      MatMul(w, a, w.panels() * task / tasks, w.panels() * (task + 1) / tasks,
             {y.data(), rows, outputs, outputs});
    });
    benchmark::ClobberMemory();
    copy = (copy + 1) % copies;
  }
  const auto count = static_cast<double>(state.iterations());
  state.counters["GFLOP/s"] =
      Counter(2e-9 * static_cast<double>(rows * outputs * inputs) * count, Counter::kIsRate);
  state.counters["GB/s"] = Counter(1e-9 * static_cast<double>(bytes) * count, Counter::kIsRate);
}

void Pack(benchmark::State& state, DType dtype) {
  const size_t inputs = 2048, rows = 2048;
  std::vector<float> source(rows * inputs);
  FillRandom(source);
  const Aligned packed(PackedBytes(dtype, rows, inputs));
  for (auto _ : state) {
    for (size_t panel = 0; panel < rows / kPanelRows; ++panel) {
      PackPanel(dtype, source.data() + panel * kPanelRows * inputs, inputs, kPanelRows, inputs,
                packed.data + panel * PanelBytes(dtype, inputs));
    }
  }
  const auto bytes = static_cast<double>(PackedBytes(dtype, rows, inputs));
  state.counters["GB/s"] =
      Counter(1e-9 * bytes * static_cast<double>(state.iterations()), Counter::kIsRate);
}

template <class B>
B* Timed(B* b) {
  return b->UseRealTime()
      ->Unit(benchmark::kMicrosecond)
      ->ComputeStatistics("best", [](const std::vector<double>& v) {
        return *std::max_element(v.begin(), v.end());
      });
}

void Register() {
  for (const int64_t threads : {1, 2}) {
    Timed(benchmark::RegisterBenchmark("peak/read", ReadBandwidth)->Arg(threads));
    Timed(benchmark::RegisterBenchmark("peak/f32", Peak, F32Work)->Arg(threads));
    Timed(benchmark::RegisterBenchmark("peak/bf16", Peak, Bf16Work)->Arg(threads));
    Timed(benchmark::RegisterBenchmark("peak/int8", Peak, Int8Work)->Arg(threads));
  }
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4}) {
    for (const Activation form : {Activation::kBF16, Activation::kI8, Activation::kF32}) {
      if (!Supports(dtype, form)) continue;
      const auto name = fmt::format("product/{}/{}{}", Name(CurrentIsa()), Name(dtype),
                                    form == Activation::kF32 ? "" : "-pairs");
      auto* b = benchmark::RegisterBenchmark(name.c_str(), Product, dtype, form);
      for (const int64_t threads : {1, 2}) {
        for (const int64_t rows : {1, 8, 32, 512}) {
          b->Args({rows, 2048, 2048, threads});
          b->Args({rows, 8192, 2048, threads});
        }
      }
      Timed(b);
    }
    Timed(benchmark::RegisterBenchmark(fmt::format("pack/{}", Name(dtype)).c_str(), Pack, dtype));
  }
}

}  // namespace
}  // namespace linnet

// `--isa NAME` forces a lower level.
int main(int argc, char** argv) {
  if (argc > 2 && std::string_view(argv[1]) == "--isa") {
    const auto isa = linnet::ParseIsa(argv[2]);
    if (!isa) return 1;
    linnet::ForceIsa(*isa);
    argv[2] = argv[0];
    argv += 2;
    argc -= 2;
  }
  linnet::Register();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
