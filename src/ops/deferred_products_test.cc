// Deferred products have the bits of each product by itself.
#include "ops/deferred_products.h"

#include <cstring>
#include <list>

#include "base/buffer.h"
#include "kernels/each_isa.h"
#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// One panel and less, an odd number of them, and enough for every thread to take several in twos.
constexpr size_t kInputs = 130, kOutputs[] = {1, 200, 64, 1400, 70};

class TogetherTest : public EachIsa {
 protected:
  struct Matrix {
    Buffer packed;
    LinearParam param;
  };

  const LinearParam& NewMatrix(DType dtype, size_t outputs) {
    const auto values = Normal(outputs * kInputs);
    Matrix& m = matrices_.emplace_back();
    m.packed = Buffer(PackedBytes(dtype, outputs, kInputs));
    for (size_t row = 0; row < outputs; row += kPanelRows) {
      PackPanel(dtype, values.data() + row * kInputs, kInputs, std::min(kPanelRows, outputs - row),
                kInputs, m.packed.data() + row / kPanelRows * PanelBytes(dtype, kInputs));
    }
    m.param.w = {dtype, outputs, kInputs, m.packed.data()};
    return m.param;
  }

  std::list<Matrix> matrices_;
};

void Append(const Var& y, std::vector<float>& all) {
  for (size_t t = 0; t < y.rows(); ++t) all.insert(all.end(), y.v.Row(t), y.v.Row(t) + y.cols());
}

// The kernel over the whole of each matrix, then the epilogue by itself.
std::vector<float> OneByOne(const std::vector<const LinearParam*>& matrices, Mat<const float> x,
                            const std::vector<float>& bias) {
  std::vector<float> all;
  for (const LinearParam* matrix : matrices) {
    const Weight& w = matrix->w;
    Arena arena;
    ThreadPool pool(1);
    const Pass p{.arena = arena, .pool = pool, .segments = {}, .strides = {}};
    std::vector<float> y(x.rows * w.rows);
    MatMul(w, Prepared(p, ActivationFor(w.dtype, false), x), 0, w.panels(),
           {y.data(), x.rows, w.rows, w.rows});
    all.insert(all.end(), y.begin(), y.end());
    for (size_t t = 0; t < x.rows; ++t) {
      float* row = y.data() + t * w.rows;
      AddRow(row, bias.data(), w.rows, row);
      SigmoidRow(row, w.rows, row);
    }
    all.insert(all.end(), y.begin(), y.end());
  }
  return all;
}

TEST_P(TogetherTest, GivesTheBitsOfEachProductAlone) {
  std::vector<const LinearParam*> matrices;
  for (const DType dtype : {DType::kF32, DType::kF16, DType::kBF16, DType::kI8, DType::kNF4}) {
    for (const size_t outputs : kOutputs) matrices.push_back(&NewMatrix(dtype, outputs));
  }
  std::vector<float> bias = Normal(kOutputs[3]);
  for (const size_t rows : {size_t{1}, size_t{3}, kFewRows, kFewRows + 1}) {
    std::vector<float> x = Normal(rows * kInputs);
    const auto expected = OneByOne(matrices, {x.data(), rows, kInputs, kInputs}, bias);
    for (const size_t threads : {1, 2, 3}) {
      Arena arena;
      ThreadPool pool(threads);
      Pass p{.arena = arena, .pool = pool, .segments = {}, .strides = {}};
      const Var in{{x.data(), rows, kInputs, kInputs}, {}};
      std::vector<Var> results;
      DeferredProducts deferred(p);
      EXPECT_EQ(deferred.Defers(rows), rows <= kFewRows);
      for (const LinearParam* w : matrices) {
        results.push_back(Linear(p, in, *w));
        results.push_back(LinearSigmoid(p, in, *w, {{bias.data(), 1, w->w.rows, w->w.rows}, {}}));
      }
      deferred.Run();
      std::vector<float> all;
      for (const Var& y : results) Append(y, all);
      EXPECT_TRUE(BitEqual(expected, all)) << rows << " rows, " << threads << " threads";
    }
  }
}

TEST_P(TogetherTest, ProductsWithATapeDoNotWait) {
  const LinearParam& w = NewMatrix(DType::kF32, 70);
  std::vector<float> x = Normal(kInputs);
  Arena arena;
  ThreadPool pool(2);
  Tape tape;
  Pass p{.arena = arena, .pool = pool, .segments = {}, .strides = {}, .tape = &tape};
  DeferredProducts deferred(p);
  EXPECT_FALSE(deferred.Defers(1));
  const Var y = Linear(p, {{x.data(), 1, kInputs, kInputs}, {}}, w);
  std::vector<float> expected(70);
  MatMul(w.w, {Activation::kF32, reinterpret_cast<const std::byte*>(x.data()), 1, 4 * kInputs}, 0,
         w.w.panels(), {expected.data(), 1, 70, 70});
  EXPECT_EQ(0, std::memcmp(expected.data(), y.v.data, 70 * sizeof(float)));
}

LINNET_EACH_ISA(TogetherTest);

}  // namespace
}  // namespace linnet
