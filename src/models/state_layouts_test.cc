// Other programs' states: each layout there and back, and against the reference's own lists.
#include "models/state_layouts.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>
#include <optional>
#include <random>

#include "base/scratch_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "kernels/each_isa.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/goldens.h"
#include "models/test_models.h"

namespace linnet {
namespace {

using goldens::Data;
namespace fs = std::filesystem;

constexpr StateLayout kLayouts[] = {StateLayout::kReference, StateLayout::kRwkvCpp,
                                    StateLayout::kWebRwkv, StateLayout::kTimeState,
                                    StateLayout::kRwkvRunner};
constexpr Generation kAll[] = {Generation::k4, Generation::k50, Generation::k51, Generation::k52,
                               Generation::k6, Generation::k7,  Generation::k7a};

StateShape Shape(Generation generation) {
  StateShape s{generation, 3, 12, 3, 4, "0123456789abcdef"};
  if (generation == Generation::k4) s.heads = 1, s.head_size = 12;
  return s;
}

State RandomState(const StateShape& shape) {
  State state(shape);
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  for (float& x : state.values()) x = normal(random);
  return state;
}

std::vector<float> Values(const State& state) {
  return {state.values().begin(), state.values().end()};
}

TEST(StateLayouts, AllComeBackAsTheyWent) {
  for (const Generation generation : kAll) {
    const State state = RandomState(Shape(generation));
    for (const StateLayout layout : kLayouts) {
      const test::TemporaryFile file(IsTuned(layout) ? ".pth" : ".st");
      if (IsTuned(layout) && generation == Generation::k4) {
        EXPECT_THROW(ExportState(state, layout, file.path()), Error);
        EXPECT_FALSE(fs::exists(file.path()));
        continue;
      }
      ExportState(state, layout, file.path());
      const State back = ImportState(file.path(), layout, state.shape());
      EXPECT_EQ(back.shape().model_hash, state.shape().model_hash);
      State expected = state.Clone();
      if (IsTuned(layout)) {  // shifts start from zero
        const StateShape& s = state.shape();
        const size_t n = s.floats() / s.layers;
        for (size_t layer = 0; layer < s.layers; ++layer) {
          const auto all = expected.values().subspan(layer * n, n);
          std::fill(all.begin(), all.begin() + static_cast<ptrdiff_t>(s.width), 0.0f);
          std::fill(all.end() - static_cast<ptrdiff_t>(s.width), all.end(), 0.0f);
        }
      }
      EXPECT_TRUE(BitEqual(Values(back), Values(expected)))
          << Name(generation) << " " << static_cast<int>(layout);
      // In memory too.
      const auto bytes = ExportedState(state, layout);
      EXPECT_TRUE(
          BitEqual(Values(ImportState(bytes, "bytes", layout, state.shape())), Values(back)))
          << Name(generation) << " " << static_cast<int>(layout);
    }
  }
}

TEST(StateLayouts, OtherSizesAreRefused) {
  for (const Generation generation : kAll) {
    const State state = RandomState(Shape(generation));
    StateShape other = state.shape();
    other.layers = 2;
    for (const StateLayout layout : kLayouts) {
      if (IsTuned(layout) && generation == Generation::k4) continue;
      const test::TemporaryFile file(layout == StateLayout::kRwkvRunner ? ".pth" : ".st");
      ExportState(state, layout, file.path());
      EXPECT_THROW(ImportState(file.path(), layout, other), Error)
          << Name(generation) << " " << static_cast<int>(layout);
    }
  }
}

class StateOrientation : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    shape_ = Model::Open(test::RandomModel(GetParam())).state_shape();
    state_.emplace(RandomState(shape_));
    reference_ = state_->ToReference();
  }

  // Of the reference's list.
  const std::vector<float>& Reference(size_t i) const { return reference_.at(i).values; }
  bool v7() const { return shape_.generation == Generation::k7; }
  size_t parts() const { return shape_.generation == Generation::k4 ? 5 : 3; }

  StateShape shape_;
  std::optional<State> state_;
  std::vector<StateTensor> reference_;
};

TEST_P(StateOrientation, TheReferencesListComesBackAsItWent) {
  if (goldens::Missing()) GTEST_SKIP() << "../shared/data is absent";
  const auto golden =
      TensorFile::Open(Data(fmt::format("golden/random-v{}.golden.safetensors", GetParam())));
  const auto list = ImportState(golden.path(), StateLayout::kReference, shape_).ToReference();
  for (size_t i = 0; i < list.size(); ++i) {
    EXPECT_TRUE(BitEqual(list[i].values, ReadAll(*golden.Find(fmt::format("state.{:03}", i)))))
        << i;
  }
}

TEST_P(StateOrientation, RwkvCppIsTheReferencesListFfnFirst) {
  const test::TemporaryFile file(".bin");
  ExportState(*state_, StateLayout::kRwkvCpp, file.path());
  std::vector<float> expected;
  for (size_t layer = 0; layer < shape_.layers; ++layer) {
    std::vector<size_t> order = {parts() - 1};
    for (size_t i = 0; i + 1 < parts(); ++i) order.push_back(i);
    for (const size_t i : order) {
      const auto part = Reference(layer * parts() + i);
      expected.insert(expected.end(), part.begin(), part.end());
    }
  }
  std::ifstream in(file.path(), std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<float> got(bytes.size() / sizeof(float));
  std::memcpy(got.data(), bytes.data(), got.size() * sizeof(float));
  EXPECT_TRUE(BitEqual(got, expected));
}

TEST_P(StateOrientation, WebRwkvsTensorIsTheFilesAndComesBack) {
  const test::TemporaryFile file(".st");
  ExportState(*state_, StateLayout::kWebRwkv, file.path());
  const TensorFile written = TensorFile::Open(file.path());
  WebRwkvTensor tensor = ToWebRwkv(*state_);
  EXPECT_TRUE(BitEqual(tensor.values, ReadAll(*written.Find("state"))));
  EXPECT_EQ(tensor.shape[0], shape_.width);
  EXPECT_EQ(tensor.shape[1], parts() == 5 ? 5 * shape_.layers : shape_.head_size + 2);
  const State back = FromWebRwkv(tensor, shape_);
  EXPECT_EQ(
      std::memcmp(back.values().data(), state_->values().data(), shape_.floats() * sizeof(float)),
      0);
  tensor.values[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(FromWebRwkv(tensor, shape_), Error);
  tensor.values.pop_back();
  EXPECT_THROW(FromWebRwkv(tensor, shape_), Error);
  std::swap(tensor.shape[0], tensor.shape[3]);
  EXPECT_THROW(FromWebRwkv(tensor, shape_), Error);
}

TEST_P(StateOrientation, WebRwkvHasARowAKeyAndAColumnAValue) {
  const test::TemporaryFile file(".st");
  ExportState(*state_, StateLayout::kWebRwkv, file.path());
  const TensorFile written = TensorFile::Open(file.path());
  const TensorView& t = *written.Find("state");
  const size_t C = shape_.width, N = shape_.head_size;
  const auto values = ReadAll(t);
  if (parts() == 5) {
    EXPECT_EQ(t.shape, (std::vector<size_t>{1, 1, 5 * shape_.layers, C}));
    for (size_t i = 0; i < 5 * shape_.layers; ++i) {
      const auto at = values.begin() + static_cast<ptrdiff_t>(i * C);
      EXPECT_TRUE(BitEqual(std::vector<float>(at, at + static_cast<ptrdiff_t>(C)), Reference(i)));
    }
    return;
  }
  EXPECT_EQ(t.shape, (std::vector<size_t>{1, shape_.layers, N + 2, C}));
  for (size_t layer = 0; layer < shape_.layers; ++layer) {
    const float* rows = values.data() + layer * (N + 2) * C;
    const auto att = Reference(3 * layer), s = Reference(3 * layer + 1),
               ffn = Reference(3 * layer + 2);
    EXPECT_EQ(std::memcmp(rows, att.data(), C * sizeof(float)), 0);
    EXPECT_EQ(std::memcmp(rows + (N + 1) * C, ffn.data(), C * sizeof(float)), 0);
    for (size_t h = 0; h < shape_.heads; ++h) {
      for (size_t key = 0; key < N; ++key) {
        for (size_t value = 0; value < N; ++value) {
          const size_t at = v7() ? value * N + key : key * N + value;
          ASSERT_EQ(rows[(1 + key) * C + h * N + value], s[h * N * N + at]);
        }
      }
    }
  }
}

TEST_P(StateOrientation, TimeStateHasValuesFirst) {
  if (parts() == 5) GTEST_SKIP() << "RWKV-4 has no tuned states";
  const test::TemporaryFile file(".pth");
  ExportState(*state_, StateLayout::kTimeState, file.path());
  const TensorFile written = TensorFile::Open(file.path());
  EXPECT_EQ(written.tensors().size(), shape_.layers);
  const size_t N = shape_.head_size;
  for (size_t layer = 0; layer < shape_.layers; ++layer) {
    const auto got = ReadAll(*written.Find(fmt::format("blocks.{}.att.time_state", layer)));
    const auto s = Reference(3 * layer + 1);
    for (size_t i = 0; i < got.size(); ++i) {
      const size_t head = i / (N * N), row = i / N % N, col = i % N;
      ASSERT_EQ(got[i], v7() ? s[i] : s[(head * N + col) * N + row]);
    }
  }
  // And loads as any tuned state does.
  const State loaded = State::Load(file.path(), shape_);
  EXPECT_TRUE(
      BitEqual(Values(loaded), Values(ImportState(file.path(), StateLayout::kTimeState, shape_))));
}

// It opens a file of PyTorch named .pth, and compares the number of tensors with the layers, and
// the heads and keys of the first one with the width.
TEST_P(StateOrientation, RwkvRunnersFilesAreTunedStatesOfPyTorch) {
  if (parts() == 5) GTEST_SKIP() << "RWKV-4 has no tuned states";
  const test::TemporaryFile file(".pth"), other(".safetensors");
  ExportState(*state_, StateLayout::kRwkvRunner, file.path());
  EXPECT_THROW(ExportState(*state_, StateLayout::kRwkvRunner, other.path()), Error);
  EXPECT_FALSE(fs::exists(other.path()));
  const auto bytes = ExportedState(*state_, StateLayout::kRwkvRunner);
  std::ifstream in(file.path(), std::ios::binary);
  const std::string written{std::istreambuf_iterator<char>(in), {}};
  ASSERT_EQ(written.size(), bytes.size());
  EXPECT_EQ(std::memcmp(written.data(), bytes.data(), bytes.size()), 0);
  const TensorFile opened = TensorFile::Parse(bytes, "bytes");
  EXPECT_EQ(opened.container(), Container::kTorchZip);
  ASSERT_EQ(opened.tensors().size(), shape_.layers);
  EXPECT_EQ(opened.tensors().front().shape,
            (std::vector<size_t>{shape_.heads, shape_.head_size, shape_.head_size}));
  const test::TemporaryFile plain(".pth");
  ExportState(*state_, StateLayout::kTimeState, plain.path());
  const TensorFile tuned = TensorFile::Open(plain.path());
  for (const TensorView& t : tuned.tensors()) {
    EXPECT_TRUE(BitEqual(ReadAll(*opened.Find(t.name)), ReadAll(t))) << t.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, StateOrientation,
                         testing::Values("4", "5.0", "5.1", "5.2", "6", "7"));

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

// A state of RWKV-7b after some tokens.
class StateWithRows : public testing::Test {
 protected:
  void SetUp() override {
    Workspace workspace({.threads = 1, .exact = true});
    model_.Forward({tokens_, &state_, {}}, workspace);
  }

  const Model model_ = Model::Open(test::RandomModel("7b"));
  const std::vector<int32_t> tokens_ = {5, 17, 319, 0, 42};
  State state_ = model_.NewState();
  const test::TemporaryFolder folder_;
};

TEST_F(StateWithRows, TheReferencesListHasPlacesForTwelveLayers) {
  const auto list = state_.ToReference();
  std::vector<size_t> numbers;
  for (const StateTensor& t : list) numbers.push_back(t.number);
  std::vector<size_t> expected(16);
  std::iota(expected.begin(), expected.end(), 0);
  for (size_t i = 34; i < 46; ++i) expected.push_back(i);
  EXPECT_EQ(numbers, expected);
  EXPECT_TRUE(list[9].is_ids);
  EXPECT_EQ(list[9].ids, tokens_);
  EXPECT_EQ(list.back().values, std::vector<float>(256));
}

TEST_F(StateWithRows, TheReferencesListComesBackAsItWent) {
  const fs::path file = folder_ / "list.safetensors", wide = folder_ / "wide.safetensors";
  ExportState(state_, StateLayout::kReference, file);
  const auto list = state_.ToReference();
  // Other programs may write ids as I64, and without what the model does not have.
  const TensorFile written = TensorFile::Open(file);
  EXPECT_EQ(written.Find("state.009")->type, SourceType::kI32);
  std::vector<TensorSpec> specs;
  for (const TensorView& t : written.tensors()) {
    if (t.name > "state.036") continue;
    specs.push_back({t.name, IsFloat(t.type) ? t.type : SourceType::kI64, t.shape});
  }
  const auto writer = TensorWriter::Create(wide, specs);
  for (const TensorSpec& spec : specs) {
    const TensorView& t = *written.Find(spec.name);
    if (IsFloat(t.type)) {
      writer->AppendFloats(SourceType::kF32, ReadAll(t));
    } else {
      const auto ids = ReadInts(t);
      writer->Append(std::as_bytes(std::span(ids)));
    }
  }
  writer->Finish();
  for (const fs::path& from : {file, wide}) {
    const State back = ImportState(from, StateLayout::kReference, model_.state_shape());
    EXPECT_EQ(back.tokens(), tokens_.size());
    const auto again = back.ToReference();
    ASSERT_EQ(again.size(), list.size());
    for (size_t i = 0; i < list.size(); ++i) {
      EXPECT_TRUE(BitEqual(again[i].values, list[i].values)) << i;
      EXPECT_EQ(again[i].ids, list[i].ids) << i;
    }
  }
}

TEST_F(StateWithRows, OtherLayoutsAreRefusedWithTheReasonAndTheOneThatWorks) {
  const fs::path file = folder_ / "out.bin";
  for (const auto& [layout, reason] :
       {std::pair{StateLayout::kRwkvCpp,
                  "rwkv.cpp has no layout for RWKV-7b, whose states keep "
                  "rows for each token; use the layout reference"},
        std::pair{StateLayout::kWebRwkv, "web-rwkv has no layout for RWKV-7b"},
        std::pair{StateLayout::kTimeState,
                  "this state keeps rows of 5 tokens; use the layout "
                  "reference"}}) {
    const std::string message = ErrorOf([&, to = layout] { ExportState(state_, to, file); });
    EXPECT_NE(message.find(reason), std::string::npos) << message;
    EXPECT_FALSE(fs::exists(file));
  }
  std::ofstream(file) << std::string(model_.state_shape().floats() * sizeof(float), '\0');
  for (const StateLayout layout : {StateLayout::kRwkvCpp, StateLayout::kWebRwkv}) {
    const std::string message = ErrorOf([&] { ImportState(file, layout, model_.state_shape()); });
    EXPECT_NE(message.find("out.bin: "), std::string::npos) << message;
    EXPECT_NE(message.find("use the layout reference"), std::string::npos) << message;
  }
}

TEST_F(StateWithRows, TunedStatesHaveNoTokens) {
  const fs::path file = folder_ / "tuned.pth", back = folder_ / "back.pth";
  ExportState(RandomState(model_.state_shape()), StateLayout::kTimeState, file);
  const State tuned = ImportState(file, StateLayout::kTimeState, model_.state_shape());
  EXPECT_EQ(tuned.tokens(), 0u);
  EXPECT_TRUE(BitEqual(Values(tuned), Values(State::Load(file, model_.state_shape()))));
  ExportState(tuned, StateLayout::kTimeState, back);
  const TensorFile first = TensorFile::Open(file), second = TensorFile::Open(back);
  for (const TensorView& t : first.tensors()) {
    EXPECT_TRUE(BitEqual(ReadAll(*second.Find(t.name)), ReadAll(t))) << t.name;
  }
}

// Ai00 takes tuned states through web-rwkv's converter, which transposes them.
TEST(StateLayouts, ConvertedTunedStatesAreTheSameStates) {
  for (const char* v : {"5.2", "6", "7"}) {
    const auto tuned = TensorFile::Open(test::TunedState(v));
    const StateShape shape = Model::Open(test::RandomModel(v)).state_shape();
    const test::TemporaryFile file(".st");
    std::vector<TensorSpec> specs;
    for (const TensorView& t : tuned.tensors()) {
      specs.push_back({t.name, SourceType::kF32, t.Transposed().shape});
    }
    const auto writer = TensorWriter::Create(file.path(), specs);
    for (const TensorView& t : tuned.tensors()) {
      writer->AppendFloats(SourceType::kF32, ReadAll(t.Transposed()));
    }
    writer->Finish();
    EXPECT_TRUE(BitEqual(Values(ImportState(file.path(), StateLayout::kWebRwkv, shape)),
                         Values(State::Load(tuned.path(), shape))));
  }
}

}  // namespace
}  // namespace linnet
