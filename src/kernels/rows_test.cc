#include "kernels/rows.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

#include "kernels/each_isa.h"

namespace linnet {
namespace {

// Units in the last place of the float nearest to `exact`; tiny values are compared absolutely.
double Ulps(float value, double exact) {
  if (std::isnan(exact) || std::isnan(value))
    return std::isnan(exact) == std::isnan(value) ? 0 : 1e9;
  const auto nearest = static_cast<float>(exact);
  if (value == nearest) return 0;
  if (std::abs(exact) < 2e-36) return std::abs(value - exact) < 1e-40 ? 0 : 1e9;
  if (std::isinf(value)) return 1e9;
  const int exponent = std::max(std::ilogb(exact), -126);
  return std::abs(value - exact) / std::ldexp(1.0, exponent - 23);
}

using UnaryRow = void (*)(const float*, size_t, float*) noexcept;
struct Function {
  const char* name;
  UnaryRow row;
  double (*exact)(double);
};

const Function kFunctions[] = {
    {"one minus", OneMinusRow, [](double x) { return 1 - x; }},
    {"sigmoid", SigmoidRow, [](double x) { return 1 / (1 + std::exp(-x)); }},
    {"tanh", TanhRow, [](double x) { return std::tanh(x); }},
    {"silu", SiluRow, [](double x) { return x / (1 + std::exp(-x)); }},
    {"exp", ExpRow, [](double x) { return std::exp(x); }},
    {"relu squared", ReluSquaredRow, [](double x) { return x > 0   ? x * x
                                                           : x < 0 ? 0.0
                                                                   : x * x; }},
    {"exp neg exp", ExpNegExpRow, [](double x) { return std::exp(-std::exp(x)); }},
    {"neg exp", NegExpRow, [](double x) { return -std::exp(x); }},
    {"RWKV7 decay", Wkv7DecayRow,
     [](double x) { return std::exp(-std::exp(-0.5) / (1 + std::exp(-x))); }},
};

class RowsTest : public EachIsa {
 protected:
  std::vector<float> Inputs() {
    std::vector<float> x = {0.0f,
                            -0.0f,
                            1e-45f,
                            -1e-45f,
                            1e-38f,
                            -1e-38f,
                            1e30f,
                            -1e30f,
                            100.0f,
                            -100.0f,
                            88.7f,
                            88.73f,
                            -87.4f,
                            -103.9f,
                            104.5f,
                            1e9f,
                            -1e9f,
                            std::numeric_limits<float>::max(),
                            std::numeric_limits<float>::lowest()};
    for (const float scale : {1e-6f, 1e-2f, 0.3f, 1.0f, 5.0f, 30.0f}) {
      const auto more = Normal(4000, scale);
      x.insert(x.end(), more.begin(), more.end());
    }
    return x;
  }
};

TEST_P(RowsTest, FunctionsAreWithinFourUlp) {
  const auto x = Inputs();
  std::vector<float> y(x.size());
  for (const Function& f : kFunctions) {
    f.row(x.data(), x.size(), y.data());
    double worst = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double error = Ulps(y[i], f.exact(x[i]));
      EXPECT_LE(error, 4) << f.name << "(" << x[i] << ") = " << y[i];
      worst = std::max(worst, error);
    }
    RecordProperty(f.name, std::to_string(worst));
  }
}

TEST_P(RowsTest, NanStaysNan) {
  const std::vector<float> x(37, std::numeric_limits<float>::quiet_NaN());
  std::vector<float> y(x.size());
  for (const Function& f : kFunctions) {
    f.row(x.data(), x.size(), y.data());
    for (const float value : y) EXPECT_TRUE(std::isnan(value)) << f.name;
  }
  EXPECT_TRUE(std::isnan(SumRow(x.data(), x.size())));
  EXPECT_TRUE(std::isnan(Dot(x.data(), x.data(), x.size())));
}

TEST_P(RowsTest, MapsDoNotSeeWhereTheyStand) {
  const auto x = Inputs();
  for (const Function& f : kFunctions) {
    std::vector<float> whole(x.size()), pieces(x.size() + 1);
    f.row(x.data(), x.size(), whole.data());
    for (size_t i = 0, step = 1; i < x.size(); i += step, step = step % 37 + 1) {
      f.row(x.data() + i, std::min(step, x.size() - i), pieces.data() + i);
    }
    pieces.pop_back();
    EXPECT_TRUE(BitEqual(whole, pieces)) << f.name;
    std::vector<float> in_place = x;
    f.row(in_place.data(), in_place.size(), in_place.data());
    EXPECT_TRUE(BitEqual(whole, in_place)) << f.name;
  }
}

TEST_P(RowsTest, TwoInputMapsAreElementwise) {
  const size_t n = 77;
  const auto a = Normal(n), b = Normal(n), c = Normal(n);
  std::vector<float> sum(n), difference(n), product(n), lerp(n), scaled(n), added = a;
  AddRow(a.data(), b.data(), n, sum.data());
  SubRow(a.data(), b.data(), n, difference.data());
  MulRow(a.data(), b.data(), n, product.data());
  LerpRow(a.data(), b.data(), c.data(), n, lerp.data());
  ScaleRow(a.data(), 1.7f, n, scaled.data());
  AddScaledRow(b.data(), 1.7f, n, added.data());
  for (size_t i = 0; i < n; ++i) {
    EXPECT_EQ(sum[i], a[i] + b[i]);
    EXPECT_EQ(difference[i], a[i] - b[i]);
    EXPECT_EQ(product[i], a[i] * b[i]);
    EXPECT_EQ(scaled[i], 1.7f * a[i]);
    EXPECT_NEAR(lerp[i], a[i] + double{b[i]} * c[i], 1e-6);
    EXPECT_NEAR(added[i], a[i] + 1.7 * b[i], 1e-6);
  }
}

// The length of a row and the offset of its pointer: only the length may change the bits.
TEST_P(RowsTest, ReductionsDependOnValuesAndLengthOnly) {
  for (const size_t n : {1, 2, 15, 31, 32, 33, 64, 100, 768, 2049}) {
    const auto x = Normal(n), other = Normal(n), third = Normal(n);
    std::vector<float> sums, dots, threes, squares, tops;
    std::vector<double> lse;
    for (size_t shift = 0; shift < 16; ++shift) {
      std::vector<float> a(n + 16, 1e9f), b(n + 16, 1e9f), c(n + 16, 1e9f);
      std::copy(x.begin(), x.end(), a.begin() + shift);
      std::copy(other.begin(), other.end(), b.begin() + shift);
      std::copy(third.begin(), third.end(), c.begin() + shift);
      const float *pa = a.data() + shift, *pb = b.data() + shift, *pc = c.data() + shift;
      sums.push_back(SumRow(pa, n));
      dots.push_back(Dot(pa, pb, n));
      threes.push_back(Dot3(pa, pb, pc, n));
      squares.push_back(SumSquaresRow(pa, n, 0.25f));
      tops.push_back(MaxRow(pa, n));
      lse.push_back(LogSumExpRow(pa, n));
    }
    double sum = 0, dot = 0, three = 0, square = 0, exps = 0;
    for (size_t i = 0; i < n; ++i) {
      sum += x[i];
      dot += double{x[i]} * other[i];
      three += double{x[i]} * other[i] * third[i];
      square += (x[i] - 0.25) * (x[i] - 0.25);
      exps += std::exp(x[i]);
    }
    const double tolerance = 2e-6 * std::sqrt(double(n)) + 1e-7 * double(n);
    EXPECT_NEAR(sums[0], sum, tolerance);
    EXPECT_NEAR(dots[0], dot, tolerance);
    EXPECT_NEAR(threes[0], three, tolerance);
    EXPECT_NEAR(squares[0], square, tolerance);
    EXPECT_NEAR(lse[0], std::log(exps), 1e-6);
    EXPECT_EQ(tops[0], *std::max_element(x.begin(), x.end()));
    for (const auto& same : {sums, dots, threes, squares, tops}) {
      EXPECT_TRUE(BitEqual(same, std::vector<float>(same.size(), same[0])));
    }
    EXPECT_TRUE(BitEqual(lse, std::vector<double>(lse.size(), lse[0])));
  }
}

TEST_P(RowsTest, ArgMaxTakesTheFirstOfEqualsAndNeverNan) {
  auto x = Normal(1000);
  x[123] = x[777] = 50.0f;
  x[5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(ArgMaxRow(x.data(), x.size()), 123u);
  EXPECT_EQ(ArgMaxRow(x.data() + 124, x.size() - 124), 777u - 124);
  EXPECT_EQ(ArgMaxRow(x.data() + 5, 1), 0u);
}

TEST_P(RowsTest, SoftmaxOfAVocabularyIsExactAndSumsToOne) {
  const size_t n = 65536;
  auto x = Normal(n, 4.0f);
  x[7] = 300.0f;  // would overflow without the shift
  x[8] = 299.0f;
  std::vector<float> y(n);
  for (const float* from : {x.data(), x.data() + 9}) {
    const size_t count = static_cast<size_t>(x.data() + n - from);
    SoftmaxRow(from, count, y.data());
    const double top = *std::max_element(from, from + count);
    double exps = 0, total = 0;
    for (size_t i = 0; i < count; ++i) exps += std::exp(from[i] - top);
    for (size_t i = 0; i < count; ++i) {
      total += y[i];
      ASSERT_NEAR(y[i], std::exp(from[i] - top) / exps, 1e-6);
    }
    EXPECT_NEAR(total, 1, 1e-6);
    EXPECT_NEAR(LogSumExpRow(from, count), top + std::log(exps), 2e-6);
  }
}

TEST_P(RowsTest, NormCentresAndScalesEachGroup) {
  const size_t groups = 3;
  for (const size_t size : {1, 7, 64, 100}) {
    const size_t n = groups * size;
    auto x = Normal(n);
    for (float& value : x) value += 30.0f;  // a large mean, bad for a one-pass variance
    const auto gain = Normal(n), bias = Normal(n);
    std::vector<float> y(n), unit(n);
    NormRow(x.data(), n, groups, gain.data(), bias.data(), 64e-5f, y.data());
    NormalizeRow(x.data(), n, groups, unit.data());
    for (size_t g = 0; g < groups; ++g) {
      double mean = 0, variance = 0, square = 0;
      for (size_t i = g * size; i < (g + 1) * size; ++i) mean += x[i] / double(size);
      for (size_t i = g * size; i < (g + 1) * size; ++i) {
        variance += (x[i] - mean) * (x[i] - mean) / double(size);
        square += double{x[i]} * x[i];
      }
      for (size_t i = g * size; i < (g + 1) * size; ++i) {
        const double expected = (x[i] - mean) / std::sqrt(variance + 64e-5) * gain[i] + bias[i];
        EXPECT_NEAR(y[i], expected, 3e-5);
        EXPECT_NEAR(unit[i], x[i] / std::sqrt(square), 1e-6);
      }
    }
  }
  const std::vector<float> zeros(64);
  std::vector<float> y(64, 1.0f);
  NormalizeRow(zeros.data(), 64, 1, y.data());
  EXPECT_EQ(y, zeros);
}
LINNET_EACH_ISA(RowsTest);

}  // namespace
}  // namespace linnet
