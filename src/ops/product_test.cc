// The products of a backward pass: close to their values in double, and the same bits for any split
// of rows, sequences and threads.
#include "ops/product.h"

#include <cmath>
#include <memory>

#include "base/buffer.h"
#include "kernels/each_isa.h"
#include "kernels/repack.h"
#include "tensor/half.h"

namespace linnet {
namespace {

struct Shape {
  size_t rows, outputs, inputs;
};
// Whole panels, incomplete panels, odd everything, one of each.
constexpr Shape kShapes[] = {{96, 128, 192}, {41, 70, 130}, {7, 33, 65}, {1, 1, 1}, {300, 200, 64}};

struct Bench {
  explicit Bench(size_t threads, bool exact = false)
      : pool(threads),
        pass{.arena = arena, .pool = pool, .segments = {}, .strides = {}, .exact = exact} {}
  Arena arena;
  ThreadPool pool;
  Pass pass;
};

Mat<float> View(std::vector<float>& v, size_t cols) {
  return {v.data(), v.size() / cols, cols, cols};
}

// The values as a product of the form reads them.
std::vector<float> Seen(Activation form, std::vector<float> x) {
  for (float& v : x) v = form == Activation::kBF16 ? BF16ToF32(F32ToBF16(v)) : v;
  return x;
}

struct Packed {
  Packed(DType dtype, const std::vector<float>& values, size_t rows, size_t cols)
      : bytes(PackedBytes(dtype, rows, cols)),
        weight{dtype, rows, cols, bytes.data()},
        seen(rows * cols) {
    for (size_t panel = 0; panel < weight.panels(); ++panel) {
      const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, rows - begin);
      std::byte* to = bytes.data() + panel * PanelBytes(dtype, cols);
      PackPanel(dtype, values.data() + begin * cols, cols, count, cols, to);
      UnpackPanel(dtype, to, count, cols, seen.data() + begin * cols, cols);
    }
  }
  Buffer bytes;
  Weight weight;
  std::vector<float> seen;
};

std::vector<Activation> Forms() {
  std::vector<Activation> forms = {Activation::kF32};
  if (Supports(DType::kBF16, Activation::kBF16)) forms.push_back(Activation::kBF16);
  return forms;
}

class BackwardProductTest : public EachIsa {
 protected:
  std::vector<float> Outer(Activation form, const Shape& s, std::vector<float> dy,
                           std::vector<float> x, std::vector<TrainingSequence> sequences,
                           size_t threads, float before = 0) {
    Bench bench(threads);
    bench.pass.sequences = sequences;
    std::vector<float> g(s.outputs * s.inputs, before);
    OuterProduct(bench.pass, Prepared(bench.pass, form, View(x, s.inputs)), s.inputs)
        .AddTo(Prepared(bench.pass, form, View(dy, s.outputs)), View(g, s.inputs));
    return g;
  }
};

TEST_P(BackwardProductTest, TransposedPanelsHoldTheTransposedWeight) {
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4}) {
    for (const Shape& s : kShapes) {
      const Packed w(dtype, Normal(s.outputs * s.inputs), s.outputs, s.inputs);
      for (const Activation form : {Activation::kF32, Activation::kBF16}) {
        Bench bench(2);
        const Weight turned = TransposedPanels(bench.pass, form, w.weight);
        const auto expected = Seen(form, w.seen);
        std::vector<float> row(s.outputs * kPanelRows);
        for (size_t panel = 0; panel < turned.panels(); ++panel) {
          const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, s.inputs - begin);
          UnpackPanel(turned.dtype, turned.data + panel * PanelBytes(turned.dtype, s.outputs),
                      kPanelRows, s.outputs, row.data(), s.outputs);
          for (size_t k = 0; k < kPanelRows; ++k) {
            for (size_t n = 0; n < s.outputs; ++n) {
              const float wanted = k < count ? expected[n * s.inputs + begin + k] : 0.0f;
              ASSERT_EQ(row[k * s.outputs + n], wanted) << Name(dtype) << " " << k << " " << n;
            }
          }
        }
      }
    }
  }
}

TEST_P(BackwardProductTest, AddProductIsNearDouble) {
  for (const Activation form : Forms()) {
    for (const Shape& s : kShapes) {
      const Packed w(PanelType(form), Normal(s.outputs * s.inputs), s.outputs, s.inputs);
      auto x = Normal(s.rows * s.inputs);
      std::vector<float> y(s.rows * s.outputs, 1.0f);
      Bench bench(2);
      AddProduct(bench.pass, Prepared(bench.pass, form, View(x, s.inputs)), w.weight,
                 View(y, s.outputs));
      const auto seen = Seen(form, x);
      for (size_t t = 0; t < s.rows; ++t) {
        for (size_t n = 0; n < s.outputs; ++n) {
          double sum = 1;
          for (size_t k = 0; k < s.inputs; ++k) {
            sum += double{seen[t * s.inputs + k]} * w.seen[n * s.inputs + k];
          }
          ASSERT_NEAR(y[t * s.outputs + n], sum, 1e-4) << t << " " << n;
        }
      }
    }
  }
}

// What a backward pass recomputes equals what the forward pass computed.
TEST_P(BackwardProductTest, MultiplyPanelsHasTheBitsOfMatMul) {
  for (const Activation form : Forms()) {
    for (const Shape& s : {Shape{41, 70, 1030}, Shape{300, 200, 64}, Shape{64, 64, 385}}) {
      const Packed w(PanelType(form), Normal(s.outputs * s.inputs), s.outputs, s.inputs);
      auto x = Normal(s.rows * s.inputs);
      std::vector<float> once(s.rows * s.outputs), again(s.rows * s.outputs);
      Bench bench(1);
      const Activations prepared = Prepared(bench.pass, form, View(x, s.inputs));
      Product(bench.pass, prepared, w.weight, View(once, s.outputs));
      MultiplyPanels(w.weight, prepared, View(again, s.outputs),
                     bench.arena.New<float>(s.rows * kPanelRows));
      EXPECT_TRUE(BitEqual(once, again));
    }
  }
}

// Threads split the panels, and rows if there are few panels: each value is computed once, and the
// epilogue sees it once.
TEST_P(BackwardProductTest, ManyRowsAreSharedOutWhole) {
  for (const Activation form : Forms()) {
    for (const Shape& s : {Shape{300, 64, 96}, Shape{97, 150, 64}, Shape{9, 900, 70}}) {
      const Packed w(PanelType(form), Normal(s.outputs * s.inputs), s.outputs, s.inputs);
      auto x = Normal(s.rows * s.inputs);
      std::vector<float> alone(s.rows * s.outputs);
      for (const size_t threads : {1, 2, 3, 7}) {
        Bench bench(threads);
        const Activations prepared = Prepared(bench.pass, form, View(x, s.inputs));
        std::vector<float> y(s.rows * s.outputs), seen(y.size());
        std::vector<uint8_t> times(y.size());
        Product(bench.pass, prepared, w.weight, View(y, s.outputs),
                [&](Mat<float> block, size_t row, size_t column) {
                  for (size_t t = 0; t < block.rows; ++t) {
                    for (size_t i = 0; i < block.cols; ++i) {
                      const size_t at = (row + t) * s.outputs + column + i;
                      seen[at] = block.Row(t)[i];
                      ++times[at];
                    }
                  }
                });
        if (threads == 1) MatMul(w.weight, prepared, 0, w.weight.panels(), View(alone, s.outputs));
        EXPECT_TRUE(BitEqual(y, alone)) << s.rows << " rows, " << threads << " threads";
        EXPECT_TRUE(BitEqual(seen, alone)) << s.rows << " rows, " << threads << " threads";
        EXPECT_EQ(times, std::vector<uint8_t>(times.size(), 1)) << threads;
      }
    }
  }
}

TEST_P(BackwardProductTest, RowsOfAddProductKnowNoCompany) {
  const Shape s{600, 130, 333};
  for (const Activation form : Forms()) {
    const Packed w(PanelType(form), Normal(s.outputs * s.inputs), s.outputs, s.inputs);
    auto x = Normal(s.rows * s.inputs);
    std::vector<float> all(s.rows * s.outputs), parts(s.rows * s.outputs);
    Bench two(2), three(3);
    AddProduct(two.pass, Prepared(two.pass, form, View(x, s.inputs)), w.weight,
               View(all, s.outputs));
    for (size_t begin = 0, count = 1; begin < s.rows; begin += count, count *= 3) {
      count = std::min(count, s.rows - begin);
      AddProduct(three.pass, Prepared(three.pass, form, View(x, s.inputs).Rows(begin, count)),
                 w.weight, View(parts, s.outputs).Rows(begin, count));
    }
    EXPECT_TRUE(BitEqual(all, parts));
  }
}

TEST_P(BackwardProductTest, AddOuterProductIsNearDouble) {
  for (const Activation form : Forms()) {
    for (const Shape& s : kShapes) {
      const auto dy = Normal(s.rows * s.outputs), x = Normal(s.rows * s.inputs);
      const size_t cut = s.rows / 3;
      const auto g = Outer(form, s, dy, x,
                           cut == 0 ? std::vector<TrainingSequence>{}
                                    : std::vector<TrainingSequence>{{0, cut}, {cut, s.rows - cut}},
                           2, 1.0f);
      const auto seen_dy = Seen(form, dy), seen_x = Seen(form, x);
      for (size_t n = 0; n < s.outputs; ++n) {
        for (size_t k = 0; k < s.inputs; ++k) {
          double sum = 1;
          for (size_t t = 0; t < s.rows; ++t) {
            sum += double{seen_dy[t * s.outputs + n]} * seen_x[t * s.inputs + k];
          }
          ASSERT_NEAR(g[n * s.inputs + k], sum, 2e-4) << n << " " << k;
        }
      }
    }
  }
}

// Four sequences at once, or two and two, each half into its own zeroed gradient, on any threads.
TEST_P(BackwardProductTest, HalvesOfABatchAddUpToItsGradient) {
  // The second has more rows than are summed in cache, so it uses memory.
  for (const size_t length : {size_t{37}, size_t{1100}}) {
    const Shape s{4 * length, 70, 65};
    std::vector<TrainingSequence> all, half;
    for (size_t i = 0; i < 4; ++i) all.push_back({i * length, length});
    half.assign(all.begin(), all.begin() + 2);
    const auto dy = Normal(s.rows * s.outputs), x = Normal(s.rows * s.inputs);
    const auto part = [](const std::vector<float>& v, size_t which) {
      const size_t n = v.size() / 2;
      return std::vector<float>(v.begin() + which * n, v.begin() + (which + 1) * n);
    };
    for (const Activation form : Forms()) {
      const auto whole = Outer(form, s, dy, x, all, 1);
      EXPECT_TRUE(BitEqual(whole, Outer(form, s, dy, x, all, 3)));
      auto a = Outer(form, s, part(dy, 0), part(x, 0), half, 2);
      const auto b = Outer(form, s, part(dy, 1), part(x, 1), half, 1);
      for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
      EXPECT_TRUE(BitEqual(whole, a)) << length;
    }
  }
}

LINNET_EACH_ISA(BackwardProductTest);

}  // namespace
}  // namespace linnet
