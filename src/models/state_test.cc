#include "linnet/state.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "linnet/error.h"
#include "linnet/model.h"
#include "models/goldens.h"

namespace linnet {
namespace {

using goldens::Data;

class StateTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
    path_ = std::filesystem::temp_directory_path() /
            ("linnet-state-" + std::to_string(getpid()) + ".st");
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static Model Open(const std::string& version) {
    return Model::Open(Data("golden/random-" + version + ".pth"));
  }
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

INSTANTIATE_TEST_SUITE_P(Generations, StateTest,
                         testing::Values("v4", "v5.0", "v5.1", "v5.2", "v6", "v7"));

TEST(TunedState, OfAnotherSizeIsRefused) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const auto load = [](const char* model) {
    State::Load(Data("golden/random-v6.state.pth"), Model::Open(Data(model)).state_shape());
  };
  EXPECT_THROW(load("models/tiny-v6.pth"), Error);
  EXPECT_THROW(load("golden/random-v4.pth"), Error);
  EXPECT_NO_THROW(load("golden/random-v6.pth"));
}

}  // namespace
}  // namespace linnet
