// Whole-model gradients: the slopes of the loss, and double-precision autograd of the reference.
#include "models/gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "models/detect.h"
#include "models/goldens.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;

constexpr double kGradient = 5e-5, kLoss = 1e-5;

// By name, in the checkpoint's shape and orientation.
std::map<std::string, std::vector<float>> Collect(const Network& network) {
  std::map<std::string, std::vector<float>> out;
  for (const Parameter& p : network.parameters()) {
    const auto values = InCheckpointOrder(p, p.g);
    auto& all = out[p.name];
    all.insert(all.end(), values.begin(), values.end());
  }
  return out;
}

class GradientTest : public testing::TestWithParam<const char*> {};

TEST_P(GradientTest, IsAutogradsWithAndWithoutL2Wrap) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const std::string name = std::string("golden/random-") + GetParam();
  const auto golden = TensorFile::Open(Data(name + ".grad.safetensors"));
  const auto tokens = goldens::Ids(golden, "tokens");
  ThreadPool pool(2);
  for (const bool l2wrap : {false, true}) {
    Checkpoint checkpoint(Data(name + ".pth"));
    const Config config = ConfigOf(checkpoint);
    const auto network = Network::Bind(std::move(checkpoint), config, pool, {.gradients = true});
    const double loss = AddGradient(*network, tokens, l2wrap, pool);
    EXPECT_NEAR(loss, ReadAll(*golden.Find("loss"))[0], kLoss);
    const auto gradients = Collect(*network);
    const std::string prefix = l2wrap ? "grad_l2wrap." : "grad.";
    size_t compared = 0;
    for (const TensorView& t : golden.tensors()) {
      if (t.name.rfind(prefix, 0) != 0) continue;
      const auto it = gradients.find(t.name.substr(prefix.size()));
      ASSERT_NE(it, gradients.end()) << t.name;
      EXPECT_LE(goldens::Error(it->second, ReadAll(t)), kGradient) << t.name;
      ++compared;
    }
    EXPECT_EQ(compared, l2wrap ? 4u : gradients.size());
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, GradientTest,
                         testing::Values("v4", "v5.0", "v5.1", "v5.2", "v6", "v7"));

// Along its own gradient the loss rises as fast as that is long: of every tensor by itself, and of
// all together.
class SlopeTest : public testing::TestWithParam<const char*> {};

TEST_P(SlopeTest, GradientsAreTheSlopesOfTheLoss) {
  const std::vector<int32_t> tokens = {5, 17, 100, 2, 9, 44, 7, 7, 61, 31, 90, 1};
  ThreadPool pool(1);
  Checkpoint checkpoint(test::OddModel(GetParam()));
  const Config config = ConfigOf(checkpoint);
  const auto network = Network::Bind(std::move(checkpoint), config, pool,
                                     {.gradients = true, .trained = DType::kF32});
  AddGradient(*network, tokens, false, pool);
  const auto values = network->values();
  const std::vector<float> v(values.begin(), values.end());
  const std::vector<float> g(network->gradients().begin(), network->gradients().end());
  ASSERT_EQ(g.size(), v.size());
  const auto expect = [&](const std::string& name, size_t begin, size_t end) {
    double gradient = 0, size = 0;
    for (size_t k = begin; k < end; ++k) {
      gradient += double{g[k]} * g[k];
      size += double{v[k]} * v[k];
    }
    const double length = std::sqrt(gradient);
    EXPECT_GT(length, 0) << name;
    // Of several steps: large ones bend, small ones drown in the rounding of f32.
    double best = INFINITY;
    for (const double part : {0.00006, 0.00025, 0.001, 0.004, 0.016}) {
      const double h = part * std::sqrt(size);
      double loss[2];
      for (int side = 0; side < 2; ++side) {
        const double step = (side == 0 ? h : -h) / length;
        for (size_t k = begin; k < end; ++k) values[k] = static_cast<float>(v[k] + step * g[k]);
        network->Repack(pool);
        loss[side] = AddGradient(*network, tokens, false, pool);
      }
      const double rounding = 1e-6 / h;
      const double error = std::abs((loss[0] - loss[1]) / (2 * h) - length);
      best = std::min(best, error / (0.01 * length + rounding));
    }
    std::copy(v.begin(), v.end(), values.begin());
    EXPECT_LE(best, 1) << name;
  };
  for (const Parameter& p : network->parameters()) {
    const auto begin = static_cast<size_t>(p.v.data - values.data());
    expect(p.name, begin, begin + p.v.rows * p.v.cols);
  }
  expect("all", 0, v.size());
}

INSTANTIATE_TEST_SUITE_P(Generations, SlopeTest,
                         testing::Values("v4", "v5.0", "v5.1", "v5.2", "v6", "v6moe", "v7", "v7a",
                                         "v7b", "goldfinch"));

}  // namespace
}  // namespace linnet
