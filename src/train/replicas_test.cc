// Replicas: how many there are changes no bit of a gradient, whatever learns.
#include "train/replicas.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <optional>

#include "models/detect.h"
#include "train/new_adapter.h"
#include "train/test_adapters.h"

namespace linnet {
namespace {

using namespace test_adapters;

constexpr double kScale = 0.02;

class ReplicasTest : public testing::TestWithParam<const char*> {
 protected:
  // With an adapter, that learns alone.
  std::unique_ptr<Network> Bound(const fs::path& adapter = {}) {
    Checkpoint checkpoint(Base(GetParam()));
    const Config config = ConfigOf(checkpoint);
    BindOptions options{.gradients = true, .trained = DType::kBF16};
    std::optional<Adapter> loaded;
    if (!adapter.empty()) {
      Stir(adapter);
      options.learns = Adapter::Learns;
      options.adapters = {&loaded.emplace(adapter, checkpoint), 1};
    }
    return Network::Bind(std::move(checkpoint), config, pool_, options);
  }

  void ExpectNoBitToChange(const Network& network) {
    const auto rows = Rows();
    const PassOptions options{.dropout = 0.1f};
    const std::span<float> g = network.gradients();
    std::fill(g.begin(), g.end(), 0.0f);
    const double loss = Passes(network, options, pool_).Learn(rows, 3, kScale, 11);
    const std::vector<float> expected(g.begin(), g.end());
    for (const size_t threads : {1, 2, 3, 4, 6}) {
      ThreadPool pool(threads);
      Replicas replicas(network, options, pool);
      for (int again = 0; again < 2; ++again) {
        std::fill(g.begin(), g.end(), NAN);  // what was there before does not count
        EXPECT_EQ(replicas.Learn(rows, 3, kScale, 11), loss) << threads;
        EXPECT_EQ(std::memcmp(g.data(), expected.data(), g.size_bytes()), 0) << threads;
        replicas.Learn(std::span(rows).first(3), 0, kScale, 1);  // fewer replicas, and back
      }
    }
  }

  ThreadPool pool_{1};
  test::TemporaryFolder folder_;
};

TEST_P(ReplicasTest, NumberChangesNoBit) { ExpectNoBitToChange(*Bound()); }

TEST_P(ReplicasTest, NorOfAdapters) {
  const fs::path path = folder_ / "adapter.safetensors";
  NewAdapterOptions options;
  options.kind = AdapterKind::kLora;
  options.rank = 4;
  options.targets = [](const std::string&) { return true; };
  WriteNewAdapter(Checkpoint(Base(GetParam())), options, pool_, path);
  ExpectNoBitToChange(*Bound(path));
}

TEST_P(ReplicasTest, NorOfTunedStates) {
  if (std::string(GetParam()) == "4") return;  // it has none
  const fs::path path = folder_ / "states.safetensors";
  WriteNewStates(Checkpoint(Base(GetParam())), path);
  ExpectNoBitToChange(*Bound(path));
}

// Each replica but the first holds gradients of its own, unless memory is to be saved.
TEST_P(ReplicasTest, BytesCountTheirGradients) {
  const auto network = Bound();
  ThreadPool pool(4);
  const auto bytes = [&](size_t rows, bool recompute) {
    Replicas replicas(*network, {.recompute = recompute}, pool);
    return replicas.Bytes(rows, 16);
  };
  const uint64_t gradients = network->gradients().size_bytes();
  EXPECT_GT(bytes(4, false), bytes(3, false) + 3 * gradients);
  EXPECT_LT(bytes(4, true), bytes(3, true) + gradients);
}

// However small the model: a token's rows count, not the blocks that memory is taken in.
TEST_P(ReplicasTest, BytesGrowWithTheLength) {
  const auto network = Bound();
  constexpr size_t kLength = 1 << 20, kRowBytes = 64 * sizeof(float);
  for (const size_t threads : {1, 2}) {
    ThreadPool pool(threads);
    Replicas replicas(*network, {}, pool);
    EXPECT_GT(replicas.Bytes(2, kLength), 2 * kLength * 20 * kRowBytes) << threads;
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, ReplicasTest,
                         testing::Values("4", "5.0", "5.1", "5.2", "6", "7", "7a", "7b"));

}  // namespace
}  // namespace linnet
