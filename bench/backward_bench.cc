// The matrix products of training relative to the machine's peak, in CPU time of the one thread
// they run on, which other programs affect little.
//   backward_bench [--isa NAME] [--threads N]
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "kernels/isa.h"
#include "kernels/peaks.h"
#include "ops/product.h"

namespace linnet {
namespace {

double ThreadSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// The best of several runs.
double Seconds(const std::function<void()>& run) {
  double best = 1e9;
  for (int i = 0; i < 7; ++i) {
    const double start = ThreadSeconds();
    run();
    best = std::min(best, ThreadSeconds() - start);
  }
  return best;
}

std::vector<float> Normal(size_t n) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> values(n);
  for (float& x : values) x = normal(random);
  return values;
}

struct Products {
  Products(size_t rows, size_t outputs, size_t inputs, DType dtype)
      : packed(PackedBytes(dtype, outputs, inputs)),
        w{dtype, outputs, inputs, packed.data()},
        x(Normal(rows * inputs)),
        y(Normal(rows * outputs)),
        dx(rows * inputs),
        g(outputs * inputs) {
    const auto source = Normal(kPanelRows * inputs);
    for (size_t panel = 0; panel < w.panels(); ++panel) {
      PackPanel(dtype, source.data(), inputs, std::min(kPanelRows, outputs - panel * kPanelRows),
                inputs, packed.data() + panel * PanelBytes(dtype, inputs));
    }
  }
  Buffer packed;
  Weight w;
  std::vector<float> x, y, dx, g;
};

void Measure(bool exact, size_t rows, size_t outputs, size_t inputs, size_t length) {
  const DType dtype = exact ? DType::kF32 : DType::kBF16;
  Products m(rows, outputs, inputs, dtype);
  Arena arena;
  ThreadPool pool(1);
  std::vector<TrainingSequence> sequences;
  for (size_t at = 0; at < rows; at += length) sequences.push_back({at, length});
  const Pass p{.arena = arena,
               .pool = pool,
               .segments = {},
               .strides = {},
               .exact = exact,
               .sequences = sequences};
  const Mat<float> x{m.x.data(), rows, inputs, inputs}, y{m.y.data(), rows, outputs, outputs};
  const Mat<float> dx{m.dx.data(), rows, inputs, inputs}, g{m.g.data(), outputs, inputs, inputs};
  const Activation form = BackwardForm(p, dtype);
  const auto start = arena.mark();
  const Activations px = Prepared(p, form, x), py = Prepared(p, form, y);
  const Weight turned = TransposedPanels(p, form, m.w);
  const auto mark = arena.mark();
  const double flops = 2e-9 * static_cast<double>(rows * outputs * inputs);
  const double work = 2e-9 * static_cast<double>(exact ? F32Work(1 << 18) : Bf16Work(1 << 18)) / 2;
  const double peak = work / Seconds([&] { exact ? F32Work(1 << 18) : Bf16Work(1 << 18); });
  const auto share = [&](const std::function<void()>& run) {
    const double rate = flops / Seconds([&] {
                          arena.Rewind(mark);
                          run();
                        });
    return fmt::format("{:7.0f} {:3.0f}%", rate, 100 * rate / peak);
  };
  const auto forward = share([&] { Product(p, x, m.w, y); });
  const auto turn = share([&] { TransposedPanels(p, form, m.w); });
  const auto prepare = share([&] { Prepared(p, form, y); });
  const auto add = share([&] { AddProduct(p, py, turned, dx); });
  const auto outer = share([&] { OuterProduct(p, px, inputs).AddTo(py, g); });
  const auto all = flops * 3 / Seconds([&] {
                     arena.Rewind(start);
                     const Activations fx = Prepared(p, form, x);
                     Product(p, fx, m.w, y);
                     const Activations fy = Prepared(p, form, y);
                     AddProduct(p, fy, TransposedPanels(p, form, m.w), dx);
                     OuterProduct(p, fx, inputs).AddTo(fy, g);
                   });
  fmt::print(
      "{} {:5}x{:5}x{:5} peak {:5.0f} | forward {} W^T {} round {} dX {} dW {} all {:5.0f} "
      "{:3.0f}%\n",
      exact ? "f32 " : "bf16", rows, outputs, inputs, peak, forward, turn, prepare, add, outer, all,
      100 * all / peak);
}

}  // namespace
}  // namespace linnet

int main(int argc, char** argv) {
  using linnet::Measure;
  if (argc > 2) linnet::ForceIsa(*linnet::ParseIsa(argv[2]));
  const bool f32 = argc > 3;
  const size_t shapes[][2] = {{384, 384},  {1536, 384}, {384, 1536}, {768, 768}, {3072, 768},
                              {768, 3072}, {64, 768},   {768, 64},   {8192, 384}};
  for (const auto& s : shapes) Measure(f32, 2048, s[0], s[1], 512);
}
