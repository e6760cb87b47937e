#include "linnet/state.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <utility>

#include "io/tensor_writer.h"
#include "io/test_bytes.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/state_file.h"
#include "models/test_models.h"

namespace linnet {
namespace {

class StateTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("linnet-state-" + std::to_string(getpid()) + ".st");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static Model Open(const std::string& version) { return Model::Open(test::RandomModel(version)); }
  // A state that has seen a few tokens.
  static State Lived(const Model& model, Workspace& workspace) {
    State state = model.NewState();
    const std::vector<int32_t> tokens = {3, 1, 4, 1, 5, 9, 2, 6};
    model.Forward({tokens, &state, {}}, workspace);
    return state;
  }
  static std::vector<float> Values(const State& state) {
    return {state.values().begin(), state.values().end()};
  }

  std::filesystem::path path_;
};

TEST_P(StateTest, ComesBackFromItsFileBitForBit) {
  const Model model = Open(GetParam());
  Workspace workspace;
  const State state = Lived(model, workspace);
  state.Save(path_);
  EXPECT_EQ(Values(State::Load(path_, model.state_shape())), Values(state));
  std::ifstream in(path_, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  const auto saved = SavedBytes(state);
  EXPECT_TRUE(std::ranges::equal(saved, std::as_bytes(std::span(bytes))));
  const State alone = State::Load(path_);
  EXPECT_EQ(Values(alone), Values(state));
  EXPECT_EQ(alone.shape().model_hash, model.hash());
}

TEST_P(StateTest, CloneContinuesAlikeAndApart) {
  const Model model = Open(GetParam());
  Workspace workspace;
  State state = Lived(model, workspace);
  State fork = state.Clone();
  const std::vector<int32_t> more = {7, 8};
  model.Forward({more, &fork, {}}, workspace);
  EXPECT_NE(Values(fork), Values(state));
  model.Forward({more, &state, {}}, workspace);
  EXPECT_EQ(Values(fork), Values(state));
  state.Reset();
  EXPECT_EQ(Values(state), Values(model.NewState()));
}

TEST_P(StateTest, OfAnotherModelIsRefused) {
  const Model model = Open(GetParam());
  Workspace workspace;
  Lived(model, workspace).Save(path_);
  StateShape shape = model.state_shape();
  shape.model_hash = "0123456789abcdef";
  try {
    State::Load(path_, shape);
    FAIL() << "a state of another model was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadState);
    EXPECT_NE(std::string(error.what()).find(model.hash()), std::string::npos) << error.what();
  }
  shape = model.state_shape();
  ++shape.layers;
  EXPECT_THROW(State::Load(path_, shape), Error);
}

TEST_P(StateTest, LogitsBesideItComeBack) {
  const Model model = Open(GetParam());
  Workspace workspace;
  const State state = Lived(model, workspace);
  std::vector<float> logits = {1, 2, 3};
  state.Save(path_);
  State::Load(path_, model.state_shape(), &logits);
  EXPECT_TRUE(logits.empty());
  state.Save(path_, std::vector<float>{4, 5});
  State::Load(path_, model.state_shape(), &logits);
  EXPECT_EQ(logits, (std::vector<float>{4, 5}));
}

INSTANTIATE_TEST_SUITE_P(Generations, StateTest,
                         testing::Values("v4", "v5.0", "v5.1", "v5.2", "v6", "v6moe", "v7", "v7a"));

// Of a file named like a state's in which something does not hold.
class BrokenStateTest : public testing::Test {
 protected:
  using Metadata = std::map<std::string, std::string>;
  static constexpr size_t kWidth = 4, kHeadSize = 2;

  // Loads a file of tensors of that shape. Returns what is said of it.
  std::string Refusal(const Metadata& metadata,
                      const std::vector<std::pair<std::string, std::vector<size_t>>>& tensors) {
    std::vector<TensorSpec> specs;
    size_t values = 0;
    for (const auto& [name, shape] : tensors) {
      specs.push_back({name, SourceType::kF32, shape});
      values += std::accumulate(shape.begin(), shape.end(), size_t{1}, std::multiplies<>());
    }
    const auto path = folder_ / "broken.safetensors";
    const auto writer = TensorWriter::Create(path, specs, metadata);
    const std::vector<float> zeros(values);
    writer->Append(std::as_bytes(std::span(zeros)));
    writer->Finish();
    return test::MessageOf(
        [&] { metadata.empty() ? State::Load(path, model_) : State::Load(path); });
  }

  const test::TemporaryFolder folder_;
  const Metadata good_ = {{"kind", "linnet state"}, {"generation", "7"}, {"layers", "1"},
                          {"width", "4"},           {"heads", "2"},      {"head_size", "2"}};
  StateShape model_ = {.generation = Generation::k7,
                       .layers = 1,
                       .width = kWidth,
                       .heads = kWidth / kHeadSize,
                       .head_size = kHeadSize,
                       .model_hash = {}};
};

TEST_F(BrokenStateTest, MetadataThatIsMissingOrWrongIsNamed) {
  for (const char* key : {"generation", "layers", "width", "heads", "head_size"}) {
    for (const bool gone : {true, false}) {
      Metadata metadata = good_;
      if (gone) {
        metadata.erase(key);
      } else {
        metadata[key] = "-7";
      }
      const std::string message = Refusal(metadata, {{"state.000", {4}}});
      EXPECT_NE(message.find(fmt::format("metadata {} is missing or", key)), message.npos)
          << message;
    }
  }
}

TEST_F(BrokenStateTest, TensorsThatAreMissingOrOfAnotherShapeAreNamed) {
  const std::string missing = Refusal(good_, {{"state.000", {4}}});
  EXPECT_NE(missing.find("state.001 is missing, expected [2, 2, 2]"), missing.npos) << missing;
  const std::string other = Refusal(good_, {{"state.000", {4}}, {"state.001", {2, 4}}});
  EXPECT_NE(other.find("state.001 is [2, 4], expected [2, 2, 2]"), other.npos) << other;
}

TEST_F(BrokenStateTest, ATunedStateOfOtherLayersIsRefused) {
  const std::vector<size_t> shape = {2, 2, 2};
  EXPECT_EQ(Refusal({}, {{"blocks.0.att.time_state", shape}}), "");
  const std::string more =
      Refusal({}, {{"blocks.0.att.time_state", shape}, {"blocks.1.att.time_state", shape}});
  EXPECT_NE(more.find("holds more layers than the model's 1"), more.npos) << more;
  model_.layers = 2;
  const std::string fewer = Refusal({}, {{"blocks.0.att.time_state", shape}});
  EXPECT_NE(fewer.find("blocks.1.att.time_state is missing"), fewer.npos) << fewer;
}

TEST(TunedState, OfAnotherSizeIsRefused) {
  const auto load = [](const std::filesystem::path& model) {
    State::Load(test::TunedState("v6"), Model::Open(model).state_shape());
  };
  EXPECT_THROW(load(test::OddModel("v6")), Error);
  EXPECT_THROW(load(test::RandomModel("v4")), Error);
  EXPECT_NO_THROW(load(test::RandomModel("v6")));
}

}  // namespace
}  // namespace linnet
