// Whole-model gradients against double-precision autograd of the reference.
#include "models/gradient.h"

#include <gtest/gtest.h>

#include <map>

#include "models/detect.h"
#include "models/goldens.h"

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

}  // namespace
}  // namespace linnet
