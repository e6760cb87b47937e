// No command writes its result over what it reads, under whatever name it is given.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

class InputsStayTest : public ByteModelTest {
 protected:
  // Refused in one line, and the file is the one it was.
  static void ExpectRefused(const Words& words, const std::string& file) {
    const std::string before = ReadFile(file);
    const auto written = fs::last_write_time(file);
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 1) << testing::PrintToString(words);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("would take the place of"), std::string::npos)
        << testing::PrintToString(words) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_TRUE(ReadFile(file) == before) << testing::PrintToString(words);
    EXPECT_EQ(fs::last_write_time(file), written);
  }

  // Another way to say the same file.
  std::string Link(const std::string& file, const char* name) const {
    fs::create_symlink(file, scratch_ / name);
    return scratch_ / name;
  }
};

class MergeKeepsTest : public InputsStayTest, public ::testing::WithParamInterface<const char*> {};

TEST_P(MergeKeepsTest, ItsBaseAndItsAdapter) {
  const std::string run = scratch_ / "run";
  Expect({"train", "--base", base_, "--data", scratch_ / "data", "--out", run, "--tune", GetParam(),
          "--ctx", "16", "--batch", "2", "--steps", "2", "--lr", "1e-2"});
  std::string adapter = scratch_ / "adapter.safetensors";
  if (fs::exists(run + "/state.pth")) adapter = scratch_ / "state.pth";
  fs::rename(run + "/" + fs::path(adapter).filename().string(), adapter);
  const std::string out = scratch_ / "out.pth";
  ExpectRefused({"merge", base_, adapter, base_}, base_);
  ExpectRefused({"merge", base_, adapter, adapter}, adapter);
  ExpectRefused({"merge", base_, adapter, scratch_ / "./base.safetensors"}, base_);
  ExpectRefused({"merge", base_, adapter, Link(base_, "link.safetensors")}, base_);
  ExpectRefused({"merge", Link(base_, "other.safetensors"), adapter, base_}, base_);
  ExpectRefused({"merge", base_, adapter, Link(adapter, "adapter-link.pth")}, adapter);
  const std::string twin = scratch_ / "twin.safetensors";
  fs::create_hard_link(base_, twin);
  ExpectRefused({"merge", base_, adapter, twin}, base_);
  // Elsewhere it may replace what is there.
  WriteFile(out, "old");
  Expect({"merge", base_, adapter, out});
  Expect({"inspect", out});
}

INSTANTIATE_TEST_SUITE_P(Of, MergeKeepsTest, testing::Values("lora", "state"));

// An adapter so strong that nothing is left of the numbers: neither a file, nor the old one lost.
TEST_F(InputsStayTest, AMergeWhoseLogitsAreNoNumbersWritesNothing) {
  const std::string run = scratch_ / "run", adapter = run + "/adapter.safetensors";
  Expect({"train", "--base", base_, "--data", scratch_ / "data", "--out", run, "--tune", "lora",
          "--ctx", "16", "--batch", "2", "--steps", "2", "--lr", "1e-2"});
  const std::string fresh = scratch_ / "fresh.pth", old = scratch_ / "old.pth";
  WriteFile(old, "old");
  for (const std::string& out : {fresh, old}) {
    const Outcome outcome = RunLinnet({"merge", base_, adapter, out, "--scale", "1e30"});
    EXPECT_EQ(outcome.exit_code, 1) << outcome.out;
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("not all numbers"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
  EXPECT_FALSE(fs::exists(fresh));
  EXPECT_TRUE(ReadFile(old) == "old");
  for (const auto& entry : fs::directory_iterator(fs::path(fresh).parent_path())) {
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
  }
}

// They may write one file anew in its place, but not a part of a model, nor what they need after.
TEST_F(InputsStayTest, ARunDoesNotReplaceItsBase) {
  for (const char* left : {"model.pth", "model.safetensors", "best.safetensors"}) {
    const std::string run = scratch_ / left + ".run", base = run + "/" + left;
    fs::create_directory(run);
    Expect({"convert", base_, base});
    ExpectRefused({"train", "--base", base, "--data", scratch_ / "data", "--out", run, "--ctx",
                   "16", "--batch", "1", "--steps", "1"},
                  base);
  }
}

TEST_F(InputsStayTest, ConvertAndQuantizeKeepWhatIsMoreThanTheirInput) {
  const std::string vocab = scratch_ / "vocab.txt";
  Expect({"vocab", "train", story_, "--size", "263", "--out", vocab});
  const std::string plain = scratch_ / "vocab";
  fs::copy_file(vocab, plain);
  ExpectRefused({"convert", base_, plain, "--vocab", plain}, plain);
  const std::string folder = scratch_ / "shards", shard = folder + "/a.safetensors",
                    index = folder + "/model.safetensors.index.json";
  fs::create_directory(folder);
  fs::copy_file(base_, shard);
  const auto sizes = nlohmann::json::parse(RunLinnet({"inspect", base_, "--json"}).out);
  nlohmann::json map;
  for (const auto& tensor : sizes["tensors"]) map[tensor["name"]] = "a.safetensors";
  WriteFile(index, nlohmann::json{{"weight_map", map}}.dump());
  for (const std::string& in : {folder, index}) {
    ExpectRefused({"convert", in, shard}, shard);
    ExpectRefused({"quantize", in, shard, "--type", "int8"}, shard);
  }
  Expect({"convert", folder, folder + "/b.safetensors"});
}

TEST_F(InputsStayTest, StatesTextsAndModelsKeepTheirs) {
  const std::string state = scratch_ / "a.state", out = scratch_ / "l.safetensors";
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--save-state", state});
  ExpectRefused({"state", "export", state, "--layout", "rwkv.cpp", state}, state);
  ExpectRefused({"state", "export", state, "--layout", "rwkv.cpp", "--model", base_, base_}, base_);
  Expect({"state", "export", state, "--layout", "rwkv.cpp", scratch_ / "a.bin"});
  ExpectRefused({"state", "import", scratch_ / "a.bin", "--layout", "rwkv.cpp", "--model", base_,
                 scratch_ / "a.bin"},
                scratch_ / "a.bin");
  ExpectRefused({"vocab", "train", story_, "--size", "300", "--out", story_}, story_);
  // A model of this name would become the data's tokens.
  const std::string bin = scratch_ / "m.bin";
  fs::copy_file(base_, bin);
  ExpectRefused({"data", "build", story_, "--model", bin, "--out", scratch_ / "m"}, bin);
  ExpectRefused({"data", "build", story_, "--model", bin, "--out", scratch_ / "m.idx"}, bin);
  ExpectRefused({"logits", base_, "--tokens", "1,2", "--out", base_}, base_);
  ExpectRefused({"grad", base_, "--tokens", "1,2", "--out", base_}, base_);
  ExpectRefused({"generate", base_, "--prompt", "a", "--save-state", base_}, base_);
  // A talk's state may well be the file it goes on from.
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--state", state, "--save-state",
          state});
}

}  // namespace
}  // namespace linnet
