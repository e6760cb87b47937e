// Models with attention: what a state keeps of its tokens, how, and in files.
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "linnet/model.h"
#include "models/names.h"
#include "models/test_models.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

constexpr size_t kTokens = 150;  // more than two pages

std::vector<int32_t> Tokens(size_t count, size_t vocab) {
  std::vector<int32_t> ids(count);
  for (size_t t = 0; t < count; ++t) ids[t] = static_cast<int32_t>((5 + 37 * t + t * t) % vocab);
  return ids;
}

class PastRowsTest : public testing::TestWithParam<const char*> {
 protected:
  Model Open(RowStorage rows, size_t limit = 0) const {
    return Model::Open(test::RandomModel(GetParam()), {.rows = rows, .row_limit = limit});
  }

  // The logits after each of the tokens from `begin` on, `chunk` at a time.
  std::vector<float> Run(const Model& model, State& state, size_t begin, size_t end, size_t chunk) {
    const size_t vocab = model.config().vocab;
    const auto ids = Tokens(kTokens, vocab);
    std::vector<float> logits((end - begin) * vocab);
    for (size_t at = begin; at < end; at += chunk) {
      const size_t len = std::min(chunk, end - at);
      model.Forward({std::span(ids).subspan(at, len), &state,
                     std::span(logits).subspan((at - begin) * vocab, len * vocab)},
                    workspace_);
    }
    return logits;
  }

  static bool Same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }

  static std::string ErrorOf(const std::function<void()>& action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  Workspace workspace_{{.threads = 2, .exact = true}};
  const test::TemporaryFolder folder_;
};

TEST_P(PastRowsTest, EveryStorageGivesOneAnswerInEveryChunk) {
  for (const RowStorage rows : {RowStorage::kF16, RowStorage::kF32, RowStorage::kCompact}) {
    const Model model = Open(rows);
    State whole = model.NewState();
    const auto expected = Run(model, whole, 0, kTokens, kTokens);
    EXPECT_EQ(whole.tokens(), kTokens);
    for (const size_t chunk : {1, 63, 64}) {
      State state = model.NewState();
      EXPECT_TRUE(Same(Run(model, state, 0, kTokens, chunk), expected)) << chunk;
    }
  }
}

TEST_P(PastRowsTest, ComputedRowsAreTheKeptOnes) {
  const Model kept = Open(RowStorage::kF32), compact = Open(RowStorage::kCompact);
  State a = kept.NewState(), b = compact.NewState();
  EXPECT_TRUE(Same(Run(kept, a, 0, kTokens, 50), Run(compact, b, 0, kTokens, 50)));
  EXPECT_GT(a.bytes(), b.bytes());
  EXPECT_EQ(a.shape().floats(), b.shape().floats());
  EXPECT_GT(a.shape().token_bytes(), b.shape().token_bytes());
}

TEST_P(PastRowsTest, AForkSharesItsPagesAndGoesItsOwnWay) {
  for (const RowStorage rows : {RowStorage::kF16, RowStorage::kCompact}) {
    const Model model = Open(rows);
    State whole = model.NewState();
    const auto expected = Run(model, whole, 0, kTokens, kTokens);
    State trunk = model.NewState();
    Run(model, trunk, 0, 100, 100);
    State fork = trunk.Clone();
    EXPECT_EQ(SharedPages(trunk.past()->kept, fork.past()->kept), 2u);
    const std::vector<int32_t> others = {1, 2, 3, 4, 5, 6, 7};
    model.Forward({others, &fork, {}}, workspace_);
    EXPECT_EQ(SharedPages(trunk.past()->kept, fork.past()->kept), 1u);
    const auto rest = Run(model, trunk, 100, kTokens, 1);
    EXPECT_TRUE(Same(rest, {expected.end() - static_cast<ptrdiff_t>(rest.size()), expected.end()}));
  }
}

TEST_P(PastRowsTest, AFileGoesOnAsTheState) {
  for (const RowStorage rows : {RowStorage::kF16, RowStorage::kF32, RowStorage::kCompact}) {
    const Model model = Open(rows);
    State state = model.NewState();
    Run(model, state, 0, 100, 100);
    const auto path = folder_ / "state.safetensors";
    state.Save(path);
    State loaded = State::Load(path, model.state_shape());
    EXPECT_EQ(loaded.tokens(), 100u);
    State fork = loaded.Clone();  // before its keys and values are computed
    const auto expected = Run(model, state, 100, kTokens, 7);
    EXPECT_TRUE(Same(Run(model, loaded, 100, kTokens, 7), expected));
    EXPECT_TRUE(Same(Run(model, fork, 100, kTokens, kTokens), expected));
    EXPECT_EQ(State::Load(path).tokens(), 100u);
  }
}

TEST_P(PastRowsTest, AnEmptyStateIsSavedToo) {
  const Model model = Open(RowStorage::kF16);
  const auto path = folder_ / "empty.safetensors";
  model.NewState().Save(path);
  EXPECT_EQ(State::Load(path, model.state_shape()).tokens(), 0u);
}

TEST_P(PastRowsTest, ResetForgetsThem) {
  const Model model = Open(RowStorage::kF16);
  State state = model.NewState();
  const auto expected = Run(model, state, 0, 20, 20);
  state.Reset();
  EXPECT_EQ(state.tokens(), 0u);
  EXPECT_TRUE(Same(Run(model, state, 0, 20, 20), expected));
}

TEST_P(PastRowsTest, TheLimitIsAnErrorBeforeAnythingChanges) {
  const size_t bytes = Open(RowStorage::kF32).state_shape().token_bytes();
  const Model model = Open(RowStorage::kF32, 100 * bytes);
  State state = model.NewState();
  Run(model, state, 0, 90, 90);
  const std::string message = ErrorOf([&] { Run(model, state, 90, 101, 11); });
  EXPECT_NE(message.find("the rows of 101 tokens take"), std::string::npos) << message;
  EXPECT_EQ(state.tokens(), 90u);
  Run(model, state, 90, 100, 10);
  const auto path = folder_ / "long.safetensors";
  state.Save(path);
  StateShape small = model.state_shape();
  small.row_limit = 99 * bytes;
  EXPECT_NE(ErrorOf([&] { State::Load(path, small); }).find("long.safetensors: the rows of 100"),
            std::string::npos);
}

// Writes a saved state again, with changed metadata or token ids.
void Change(const std::filesystem::path& from, const std::filesystem::path& to,
            const std::string& version, int32_t id) {
  const TensorFile file = OpenTensors(from);
  std::map<std::string, std::string> metadata(file.metadata().begin(), file.metadata().end());
  metadata["version"] = version;
  std::vector<TensorSpec> specs;
  for (const TensorView& t : file.tensors()) specs.push_back({t.name, t.type, t.shape});
  const auto writer = TensorWriter::Create(to, specs, metadata);
  for (const TensorView& t : file.tensors()) {
    if (t.type == SourceType::kF32) {
      writer->AppendFloats(SourceType::kF32, ReadAll(t));
    } else {
      const std::vector<int32_t> ids(t.elements(), id);
      writer->Append(std::as_bytes(std::span(ids)));
    }
  }
  writer->Finish();
}

TEST_P(PastRowsTest, FilesThatDoNotFitAreRefusedByName) {
  const Model model = Open(RowStorage::kF16);
  State state = model.NewState();
  Run(model, state, 0, 10, 10);
  const auto path = folder_ / "state.safetensors", changed = folder_ / "changed.safetensors";
  state.Save(path);
  Change(path, changed, "3", 5);
  EXPECT_NE(
      ErrorOf([&] { State::Load(changed); }).find("changed.safetensors: a state of version 3"),
      std::string::npos);
  for (const int32_t id : {-1, 320, 1 << 30}) {
    Change(path, changed, "2", id);
    State loaded = State::Load(changed, model.state_shape());
    const std::string message = ErrorOf([&] { Run(model, loaded, 10, 11, 1); });
    EXPECT_NE(message.find("state holds token " + std::to_string(id)), std::string::npos)
        << message;
  }
}

INSTANTIATE_TEST_SUITE_P(Generations, PastRowsTest, testing::Values("v7b", "goldfinch"),
                         [](const auto& test) { return std::string(test.param); });

}  // namespace
}  // namespace linnet
