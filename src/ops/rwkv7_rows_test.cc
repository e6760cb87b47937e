// RWKV-7's fused operations have the bits of the plain operations that they replace.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ops/ops.h"

namespace linnet {
namespace {

constexpr size_t kRows = 3, kHeads = 3, kCols = 21;

class Rwkv7Rows : public testing::Test {
 protected:
  Var Random(size_t rows) {
    Var x = pass_.New(rows, kCols);
    std::uniform_real_distribution<float> value(-1, 1);
    for (size_t i = 0; i < rows * kCols; ++i) x.v.data[i] = value(random_);
    return x;
  }
  static bool Same(const Var& a, const Var& b) {
    return std::memcmp(a.v.data, b.v.data, kRows * kCols * sizeof(float)) == 0;
  }

  std::mt19937 random_{3};
  Arena arena_;
  ThreadPool pool_{1};
  Pass pass_{.arena = arena_, .pool = pool_, .segments = {}, .strides = {}};
};

TEST_F(Rwkv7Rows, Values) {
  const Var v = Random(kRows), first = Random(kRows), share = Random(kRows);
  EXPECT_TRUE(
      Same(MixValueResidual(pass_, v, first, share), Lerp(pass_, v, Sub(pass_, first, v), share)));
}

TEST_F(Rwkv7Rows, Keys) {
  Pass& p = pass_;
  const Var k = Random(kRows), a = Random(kRows), k_k = Random(1), k_a = Random(1);
  const Wkv7Keys y = MakeWkv7Keys(p, k, a, k_k, k_a, kHeads);
  const Var kk = NormalizeHeads(p, Mul(p, k, Broadcast(k_k, kRows)), kHeads);
  EXPECT_TRUE(Same(y.remove, Neg(p, kk)));
  EXPECT_TRUE(Same(y.replace, Mul(p, kk, a)));
  EXPECT_TRUE(Same(y.key, Lerp(p, k, Sub(p, Mul(p, k, a), k), Broadcast(k_a, kRows))));
}

TEST_F(Rwkv7Rows, Output) {
  Pass& p = pass_;
  const Var y = Random(kRows), r = Random(kRows), k = Random(kRows), v = Random(kRows);
  const Var gate = Random(kRows), u = Random(1), gain = Random(1), bias = Random(1);
  const float eps = 64e-5f;
  const Var plain = AddBonus(p, Norm(p, y, kHeads, gain, bias, eps), r, k, v, u, kHeads);
  EXPECT_TRUE(
      Same(GatedOutput(p, {y, r, k, v, u, gain, bias, gate}, kHeads, eps), Mul(p, plain, gate)));
}

}  // namespace
}  // namespace linnet
