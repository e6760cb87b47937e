// The routing is the trainer's, and where an expert's matrix lies, or what else is kept, changes no
// bit.
#include "models/experts.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/scratch_folder.h"
#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/model.h"
#include "models/detect.h"
#include "models/gradient.h"
#include "models/network.h"
#include "models/quantize.h"
#include "models/schema.h"
#include "models/test_models.h"

namespace linnet {
namespace {

std::vector<float> LogitsOf(const Model& model, size_t threads = 1) {
  const std::vector<int32_t> tokens = {5, 17, 100, 2, 9, 44, 7, 7, 61, 31, 90, 1, 319, 0};
  Workspace workspace({.threads = threads});
  State state = model.NewState();
  std::vector<float> logits(tokens.size() * model.config().vocab);
  model.Forward({tokens, &state, logits}, workspace);
  return logits;
}

bool HaveSameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(ExpertOfTest, IsTheRemainderOfAnExactProduct) {
  EXPECT_EQ(ExpertOf(1, 0, 8), 3u);       // 5099
  EXPECT_EQ(ExpertOf(12345, 1, 8), 5u);   // 62971845
  EXPECT_EQ(ExpertOf(65535, 39, 8), 5u);  // 356707005
  EXPECT_EQ(ExpertOf(65535, 39, 7), 4u);
  // 2^24 tokens are allowed: no f32 and no 32 bits.
  EXPECT_EQ(ExpertOf(16777215, 39, 1000), 16777215ull * 5443 % 1000);
}

TEST(RowsByExpertTest, HaveEveryRowOnceAndInOrder) {
  const std::vector<int32_t> tokens = {7, 3, 7, 11, 250, 3, 3, 0, 99};
  for (size_t layer = 0; layer < kRoutedLayers; ++layer) {
    std::set<size_t> seen, experts;
    for (const ExpertRows& group : RowsByExpert(tokens, layer, 5)) {
      EXPECT_TRUE(experts.insert(group.expert).second);
      EXPECT_TRUE(std::is_sorted(group.rows.begin(), group.rows.end()));
      for (const size_t row : group.rows) {
        EXPECT_TRUE(seen.insert(row).second);
        EXPECT_EQ(ExpertOf(tokens[row], layer, 5), group.expert);
      }
    }
    EXPECT_EQ(seen.size(), tokens.size());
  }
}

TEST(ExpertsTest, BitsDoNotDependOnWhatIsKept) {
  const auto file = test::RandomModel("6moe");
  OpenOptions one;
  one.expert_bytes = 1;
  const Model all = Model::Open(file), last = Model::Open(file, one);
  const auto expected = LogitsOf(all);
  for (int again = 0; again < 2; ++again) {
    EXPECT_TRUE(HaveSameBits(LogitsOf(all), expected));
    EXPECT_TRUE(HaveSameBits(LogitsOf(last, 2), expected));
  }
}

TEST(ExpertsTest, ThreadsThatOverlapGetTheirOwnThoughLittleIsKept) {
  OpenOptions one;
  one.expert_bytes = 1;
  const Model model = Model::Open(test::RandomModel("6moe"), one);
  const auto expected = LogitsOf(model);
  std::vector<std::thread> threads;
  std::vector<int> same(4, 0);
  for (size_t i = 0; i < same.size(); ++i) {
    threads.emplace_back([&, i] {
      for (int turn = 0; turn < 3; ++turn) same[i] += HaveSameBits(LogitsOf(model), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(same, std::vector<int>(4, 3));
}

class ExpertStoreTest : public testing::Test {
 protected:
  const TensorView& Matrix(size_t expert) const {
    return *checkpoint_.Find(BlockName(0, ExpertName(expert, "ffn_key.weight")));
  }
  Checkpoint checkpoint_{test::RandomModel("6moe")};
  ThreadPool pool_{1};
  const uint64_t bytes_ = PackedBytes(DType::kI8, 448, 128);
};

TEST_F(ExpertStoreTest, KeepsWhatWasUsedLastWithinItsLimit) {
  ExpertStore store(checkpoint_.file(), 3, 2 * bytes_);
  for (size_t e = 0; e < 3; ++e) EXPECT_EQ(store.Add(0, e, Matrix(e), DType::kI8), e);
  EXPECT_EQ(store.kept_bytes(), 0u);
  const auto first = store.Packed(0, pool_);
  const std::weak_ptr<const PackedExpert> second = store.Packed(1, pool_);
  EXPECT_EQ(store.Packed(0, pool_), first);
  EXPECT_EQ(store.kept_bytes(), 2 * bytes_);
  store.Packed(2, pool_);  // in place of the second
  EXPECT_EQ(store.kept_bytes(), 2 * bytes_);
  EXPECT_EQ(store.Packed(0, pool_), first);
  EXPECT_TRUE(second.expired());
  store.Packed(1, pool_);
  store.Packed(2, pool_);
  // Dropped from the store, but in use here.
  EXPECT_NE(store.Packed(0, pool_), first);
  EXPECT_EQ(std::memcmp(first->bytes.data(), store.Packed(0, pool_)->bytes.data(), bytes_), 0);
}

TEST_F(ExpertStoreTest, OneIsKeptThoughItIsLargerThanTheLimit) {
  ExpertStore store(checkpoint_.file(), 3, 1);
  for (size_t e = 0; e < 3; ++e) store.Add(0, e, Matrix(e), DType::kI8);
  for (const size_t e : {0, 2, 1, 1}) {
    store.Packed(e, pool_);
    EXPECT_EQ(store.kept_bytes(), bytes_);
  }
}

TEST_F(ExpertStoreTest, RequestsMayNameAnything) {
  ExpertStore store(checkpoint_.file(), 3, 1);
  const std::vector<int32_t> tokens = {0, 1, 2, 3, 319};
  store.Request(tokens, 0);
  for (size_t e = 0; e < 3; ++e) store.Add(0, e, Matrix(e), DType::kI8);
  for (size_t layer = 0; layer < 5; ++layer) store.Request(tokens, layer);
  EXPECT_EQ(store.kept_bytes(), 0u);
}

// A file with one damaged expert opens, as it is not read then, and says what is wrong whenever
// that expert is used.
TEST(ExpertsTest, ADamagedOneIsNamedWhenItIsUsed) {
  const test::TemporaryFolder scratch;
  const auto file = scratch / "damaged.safetensors";
  const std::string damaged = BlockName(1, ExpertName(1, "ffn_value.weight"));
  test::WriteRandomModel(
      {.generation = Generation::k6moe, .layers = 2, .width = 64, .vocab = 32, .experts = 3},
      SourceType::kF32, file, [&](const std::string& name, std::vector<float>& values) {
        if (name == damaged) values[17] = std::numeric_limits<float>::infinity();
      });
  OpenOptions options;
  options.quant = DType::kI8;
  const Model model = Model::Open(file, options);
  Workspace workspace({.threads = 2});
  for (int turn = 0; turn < 2; ++turn) {
    for (int32_t id = 0; id < 6; ++id) {
      State state = model.NewState();
      std::vector<float> logits(32);
      const std::string message = test::MessageOf([&] {
        model.Forward({{&id, 1}, &state, logits}, workspace);
      });
      if (ExpertOf(id, 1, 3) == 1) {
        EXPECT_NE(message.find("damaged.safetensors: " + damaged + " holds inf"), std::string::npos)
            << message;
      } else {
        EXPECT_EQ(message, "");
      }
    }
  }
}

TEST(ExpertsTest, ATokenCostsOneOfALayer) {
  const test::TemporaryFolder scratch;
  std::vector<uint64_t> bytes, macs;
  for (const size_t experts : {2, 5}) {
    const auto file = scratch / "model.safetensors";
    test::WriteRandomModel({.generation = Generation::k6moe,
                            .layers = 2,
                            .width = 64,
                            .vocab = 32,
                            .experts = experts},
                           SourceType::kF32, file);
    const Model model = Model::Open(file);
    bytes.push_back(model.cost().matrix_bytes);
    macs.push_back(model.cost().layer_macs);
    ThreadPool pool(1);
    const auto packed = scratch / "packed.safetensors";
    QuantizeCheckpoint(Checkpoint(file), packed, pool, {.packing = {.type = DType::kF32}});
    EXPECT_EQ(Model::Open(packed).cost().matrix_bytes, bytes.back());
  }
  EXPECT_EQ(bytes[0], bytes[1]);
  EXPECT_EQ(macs[0], macs[1]);
}

TEST(ExpertsTest, OnesThatAreNotUsedHaveNoGradient) {
  Checkpoint checkpoint(test::RandomModel("6moe"));
  const Config config = ConfigOf(checkpoint);
  ThreadPool pool(2);
  const auto network = Network::Bind(std::move(checkpoint), config, pool, {.gradients = true});
  const std::vector<int32_t> tokens = {5, 5, 5, 5};
  AddGradient(*network, tokens, false, pool);
  size_t used = 0, unused = 0;
  for (const Parameter& p : network->parameters()) {
    const auto place = SplitBlockName(p.name);
    const auto expert = place ? SplitExpertName(place->rest) : std::nullopt;
    if (!expert) continue;
    bool zero = true;
    for (size_t row = 0; row < p.g.rows; ++row) {
      zero = zero && std::all_of(p.g[row].begin(), p.g[row].end(), [](float g) { return g == 0; });
    }
    const bool of_token = ExpertOf(5, place->layer, 3) == expert->layer;
    EXPECT_EQ(zero, !of_token) << p.name;
    ++(of_token ? used : unused);
  }
  EXPECT_EQ(used, 6u);
  EXPECT_EQ(unused, 12u);
}

// A new model computes what the RWKV-6 of the same values does.
TEST(ExpertsTest, NewOnesAddNothing) {
  const test::TemporaryFolder scratch;
  const auto write = [&](Generation generation) {
    const auto file = scratch / "model.safetensors";
    const auto parameters = NewParameters(
        NewConfig({.generation = generation, .layers = 2, .width = 64, .vocab = 320}));
    std::vector<TensorSpec> specs;
    for (const ParameterSpec& p : parameters) specs.push_back({p.name, SourceType::kF32, p.shape});
    const auto writer = TensorWriter::Create(file, specs);
    ThreadPool pool(1);
    for (const ParameterSpec& p : parameters) {
      std::vector<float> values(p.elements());
      const bool expert = p.role == ParameterRole::kExpert;
      FillParameter(p, expert ? Filling::kReference : Filling::kRandom, 5, pool, values.data());
      writer->AppendFloats(SourceType::kF32, values);
    }
    writer->Finish();
    return Model::Open(file);
  };
  EXPECT_EQ(LogitsOf(write(Generation::k6moe)), LogitsOf(write(Generation::k6)));
}

}  // namespace
}  // namespace linnet
