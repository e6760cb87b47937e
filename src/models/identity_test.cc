// The law of identities: whatever can change a bit of the results changes the identity, and nothing
// that cannot.
#include "models/identity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "io/file_digest.h"
#include "io/tensor_writer.h"
#include "linnet/model.h"
#include "models/model_of.h"
#include "models/test_models.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

std::string ContentOf(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

class IdentityTest : public testing::Test {
 protected:
  void TearDown() override { ForceIsa(SupportedIsas().back()); }

  std::string IdentityAs(const Model& model, const WorkspaceOptions& way = {.threads = 1},
                         const std::string& tokenizer = {}) const {
    return model.Identity(Workspace(way), {.tokenizer = tokenizer, .cache = cache_});
  }
  std::string IdentityFor(const fs::path& file, const OpenOptions& options = {}) const {
    return IdentityAs(Model::Open(file, options));
  }

  // A change of one matrix of RandomModel("7").
  fs::path WriteLora(const char* name, float value) const {
    const fs::path file = folder_ / name;
    const auto writer =
        TensorWriter::Create(file, {{"blocks.0.att.key.lora_A", SourceType::kF32, {2, 128}},
                                    {"blocks.0.att.key.lora_B", SourceType::kF32, {128, 2}}});
    const std::vector<float> values(256, value);
    for (int i = 0; i < 2; ++i) writer->AppendFloats(SourceType::kF32, values);
    writer->Finish();
    return file;
  }

  // The logits of a few tokens and the state after them.
  static std::vector<float> ResultsOf(const Model& model, bool exact) {
    Workspace workspace({.threads = 1, .exact = exact});
    const std::vector<int32_t> tokens = {1, 2, 3, 250, 5, 0, 11, 7, 4, 4};
    State state = model.NewState();
    std::vector<float> results(tokens.size() * model.config().vocab);
    model.Forward({tokens, &state, results}, workspace);
    results.insert(results.end(), state.values().begin(), state.values().end());
    return results;
  }

  test::TemporaryFolder folder_;
  const fs::path cache_ = folder_ / "cache";
  const fs::path model_ = test::RandomModel("7");
};

TEST_F(IdentityTest, DoesNotDependOnNamesThreadsOrBatch) {
  const Model model = Model::Open(model_);
  const std::string identity = IdentityAs(model);
  EXPECT_EQ(identity.size(), 64);
  EXPECT_EQ(IdentityAs(model), identity);
  EXPECT_EQ(IdentityAs(model, {.threads = 3, .max_rows = 5}), identity);
  EXPECT_EQ(IdentityFor(model_), identity);
  fs::copy_file(model_, folder_ / "copy.pth");
  EXPECT_EQ(IdentityFor(folder_ / "copy.pth"), identity);
  const std::string bytes = ContentOf(model_);
  EXPECT_EQ(IdentityAs(Model::FromMemory(std::as_bytes(std::span(bytes)), "memory")), identity);
  EXPECT_EQ(IdentityOf(Checkpoint(model_), {}, {}, 2, {.cache = cache_}), identity);
}

TEST_F(IdentityTest, EqualOnesGiveEqualBits) {
  fs::copy_file(model_, folder_ / "copy.pth");
  for (const Isa isa : SupportedIsas()) {
    ForceIsa(isa);
    const Model a = Model::Open(model_), b = Model::Open(folder_ / "copy.pth");
    for (const bool exact : {true, false}) {
      ASSERT_EQ(IdentityAs(a, {.exact = exact}), IdentityAs(b, {.exact = exact}));
      const auto x = ResultsOf(a, exact), y = ResultsOf(b, exact);
      ASSERT_EQ(x.size(), y.size());
      EXPECT_EQ(std::memcmp(x.data(), y.data(), x.size() * sizeof(float)), 0) << Name(isa);
    }
  }
}

TEST_F(IdentityTest, WhateverRunsOtherwiseHasItsOwn) {
  std::vector<std::string> all;
  const auto add = [&](const OpenOptions& options) { all.push_back(IdentityFor(model_, options)); };
  add({});
  add({.ln_x_eps = 1e-5f});
  add({.quant = DType::kI8});
  add({.quant = DType::kI8, .quant_layers = 1});
  add({.quant = DType::kF32});
  const fs::path lora = WriteLora("a.safetensors", 0.5f), other = WriteLora("b.safetensors", 0.25f);
  add({.adapters = {{lora, 1.0f}}});
  add({.adapters = {{lora, 2.0f}}});
  add({.adapters = {{other, 1.0f}}});
  add({.adapters = {{lora, 1.0f}, {other, 1.0f}}});
  add({.adapters = {{other, 1.0f}, {lora, 1.0f}}});
  const Model model = Model::Open(model_);
  all.push_back(IdentityAs(model, {.exact = true}));
  all.push_back(IdentityAs(model, {}, "one vocabulary"));
  all.push_back(IdentityAs(model, {}, "another"));
  for (const Isa isa : SupportedIsas()) {
    if (isa == SupportedIsas().back()) continue;
    ForceIsa(isa);
    add({});
    all.push_back(IdentityAs(model));  // packed at another level
  }
  ForceIsa(SupportedIsas().back());
  // One bit of one weight, in a container that has no checksums.
  const fs::path plain = folder_ / "plain.safetensors";
  test::WriteRandomModel({.layers = 3, .width = 128, .vocab = 320}, SourceType::kBF16, plain);
  all.push_back(IdentityFor(plain));
  std::string bytes = ContentOf(plain);
  const Checkpoint checkpoint(plain);
  const auto* weight =
      reinterpret_cast<const char*>(checkpoint.Find("blocks.1.ffn.key.weight")->data);
  const auto* begin = reinterpret_cast<const char*>(checkpoint.file().bytes().data());
  bytes[static_cast<size_t>(weight - begin)] ^= 1;
  const fs::path changed = folder_.Write("changed.safetensors", bytes);
  ASSERT_EQ(fs::file_size(changed), fs::file_size(plain));
  all.push_back(IdentityFor(changed));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
}

TEST_F(IdentityTest, TheFileIsReadOnce) {
  const fs::path file = folder_ / "model.pth";
  fs::copy_file(model_, file);
  const std::string identity = IdentityFor(file);
  EXPECT_FALSE(fs::exists(cache_));  // the file is too fresh
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  EXPECT_EQ(IdentityFor(file), identity);
  const DigestCache cache(cache_);
  const auto stamp = StampOf(file);
  ASSERT_TRUE(cache.Find(*stamp));
  cache.Keep(*stamp, Sha256Of("planted"));
  const std::string planted = IdentityFor(file);
  EXPECT_NE(planted, identity);
  const Model model = Model::Open(file);
  EXPECT_EQ(IdentityAs(model), planted);
  fs::remove_all(cache_);
  EXPECT_EQ(IdentityAs(model), planted);  // computed once per model
  EXPECT_FALSE(fs::exists(cache_));
  EXPECT_EQ(IdentityFor(file), identity);
  EXPECT_EQ(model.Identity(Workspace({.threads = 1}), {.cache = ""}), planted);
}

TEST_F(IdentityTest, TheCacheIsInTheUsersFolder) {
  setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
  const fs::path file = folder_ / "model.pth";
  fs::copy_file(model_, file);
  std::this_thread::sleep_for(std::chrono::milliseconds(2100));
  const Model model = Model::Open(file);
  const Workspace workspace({.threads = 1});
  EXPECT_FALSE(fs::exists(folder_ / "linnet"));  // nothing is written unless it is asked for
  model.Identity(workspace);
  EXPECT_TRUE(fs::exists(folder_ / "linnet/digests"));
  unsetenv("XDG_CACHE_HOME");
}

TEST_F(IdentityTest, ThreadsMayAskAtTheSameTime) {
  const Model model = Model::Open(model_);
  std::vector<std::string> found(4);
  std::vector<std::thread> threads;
  for (std::string& identity : found) {
    threads.emplace_back([&] { identity = IdentityAs(model); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& identity : found) EXPECT_EQ(identity, found[0]);
}

TEST_F(IdentityTest, AStateSaysWhatComputedIt) {
  const Model model = Model::Open(model_);
  Workspace workspace({.threads = 1}), exact({.threads = 1, .exact = true});
  const std::string identity = model.Identity(workspace, {.cache = ""});
  const std::vector<int32_t> tokens = {1, 2, 3};
  State state = model.NewState();
  EXPECT_EQ(state.identity(), "");
  const fs::path plain = folder_ / "plain.state", marked = folder_ / "marked.state";
  model.Forward({tokens, &state, {}}, workspace);
  state.Save(plain);
  state.set_identity(identity);
  state.Save(marked);
  EXPECT_EQ(State::Load(marked).identity(), identity);
  EXPECT_EQ(State::Load(marked, model.state_shape()).identity(), identity);
  EXPECT_EQ(State::Load(plain, model.state_shape()).identity(), "");
  EXPECT_EQ(ContentOf(plain).find("identity"), std::string::npos);
  // By itself it goes on; what another execution adds makes it nobody's.
  model.Forward({tokens, &state, {}}, workspace);
  EXPECT_EQ(state.identity(), identity);
  model.Forward({tokens, &state, {}}, exact);
  EXPECT_EQ(state.identity(), "");
}

TEST_F(IdentityTest, ALoaderMayRequireIt) {
  const Model model = Model::Open(model_);
  const Workspace workspace({.threads = 1}), exact({.threads = 1, .exact = true});
  StateShape shape = model.state_shape();
  State state = model.NewState();
  const fs::path plain = folder_ / "plain.state", marked = folder_ / "marked.state";
  state.Save(plain);
  state.set_identity(model.Identity(workspace, {.cache = ""}));
  state.Save(marked);
  shape.identity = state.identity();
  EXPECT_EQ(State::Load(marked, shape).identity(), state.identity());
  EXPECT_THROW(State::Load(plain, shape), Error);
  shape.identity = model.Identity(exact, {.cache = ""});
  try {
    State::Load(marked, shape);
    FAIL() << "a state of another identity was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadState);
    EXPECT_NE(std::string(error.what()).find(state.identity()), std::string::npos);
    EXPECT_NE(std::string(error.what()).find(shape.identity), std::string::npos);
  }
}

}  // namespace
}  // namespace linnet
