// No command writes over what it reads, under whatever name it is given; nor, unless it is told to,
// over a file of another kind.
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
  static void ExpectKept(const Words& words, const std::string& file, const char* why) {
    const std::string before = ReadFile(file);
    const auto written = fs::last_write_time(file);
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 1) << testing::PrintToString(words);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find(why), std::string::npos)
        << testing::PrintToString(words) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_TRUE(ReadFile(file) == before) << testing::PrintToString(words);
    EXPECT_EQ(fs::last_write_time(file), written);
  }

  // The command reads the file: whatever options are given.
  static void ExpectRefused(const Words& words, const std::string& file) {
    ExpectKept(words, file, "is read by this command");
    ExpectKept(words + Words{"--overwrite"}, file, "is read by this command");
  }

  // The command writes `out`, whose content is none of its kind.
  static void ExpectOverwrite(const Words& words, const std::string& out) {
    WriteFile(out, "notes of a year\n");
    ExpectKept(words, out, "exists and holds text, not ");
    ExpectKept(words, out, "--overwrite");
    Expect(words + Words{"--overwrite"});
    EXPECT_NE(ReadFile(out), "notes of a year\n");
    Expect(words);  // of its own kind now
    WriteFile(out, "");
    Expect(words);
  }

  // A folder with the metrics of a run.
  std::string WriteRun() const {
    const std::string run = scratch_ / "run";
    fs::create_directories(run);
    WriteFile(run + "/metrics.jsonl", R"({"step":1,"tokens":8,"loss":3.5,"lr":1e-3})"
                                      "\n");
    return run;
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
  ExpectOverwrite({"merge", base_, adapter, out}, out);
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
    const Outcome outcome =
        RunLinnet({"merge", base_, adapter, out, "--scale", "1e30", "--overwrite"});
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

// The data is NAME.bin and its like, not the folder NAME.
TEST_F(InputsStayTest, ARunMayHaveTheNameOfItsData) {
  const std::string run = scratch_ / "data";
  Expect({"train", "--base", base_, "--data", run, "--out", run, "--ctx", "16", "--batch", "1",
          "--steps", "1"});
  Expect({"train", "--out", run, "--resume", "--steps", "2"});
}

TEST_F(InputsStayTest, ConvertAndQuantizeKeepTheirs) {
  ExpectRefused({"convert", base_, base_, "--type", "f16"}, base_);
  ExpectRefused({"quantize", base_, base_, "--type", "int8"}, base_);
  ExpectRefused({"quantize", base_, Link(base_, "link.safetensors"), "--type", "int8"}, base_);
  const std::string text = scratch_ / "text";
  fs::copy_file(story_, text);
  ExpectRefused({"quantize", base_, text, "--type", "int8", "--report", text}, text);
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
  // The one exception: whoever names a state twice wants a new one in its place.
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--state", state, "--save-state",
          state});
  ExpectRefused({"generate", state, "--prompt", "a", "--save-state", state}, state);
  const std::string prompt = scratch_ / "prompt";
  WriteFile(prompt, "The owl");
  ExpectRefused({"generate", base_, "--prompt-file", prompt, "--save-state", prompt}, prompt);
  ExpectRefused({"logits", base_, "--tokens", "1,2", "--state", state, "--out", state}, state);
  ExpectRefused({"logits", base_, "--text", "a", "--vocab", story_, "--out", story_}, story_);
  ExpectRefused({"plot", WriteRun(), "--out", scratch_ / "run/metrics.jsonl"},
                scratch_ / "run/metrics.jsonl");
}

// What is read beside a model without being named: its shards, an adapter's, a data set's parts.
TEST_F(InputsStayTest, NeitherIsWhatIsReadBesideAnInput) {
  const std::string config = scratch_ / "config.json";
  WriteFile(config, "{}");
  ExpectRefused({"generate", base_, "--prompt", "a", "--save-state", config}, config);
  const std::string run = scratch_ / "data.run";
  fs::create_directory(run);
  for (const char* ending : {".bin", ".idx"}) {
    fs::rename((scratch_ / "data") + ending, run + "/model" + ending);
  }
  const std::string tokens = run + "/model.pth";
  fs::create_hard_link(run + "/model.bin", tokens);
  ExpectRefused({"train", "--base", base_, "--data", run + "/model", "--out", run, "--ctx", "16",
                 "--batch", "1", "--steps", "1"},
                tokens);
}

TEST_F(InputsStayTest, AFileOfAnotherKindIsReplacedOnlyWithOverwrite) {
  const std::string model = scratch_ / "out.safetensors", out = scratch_ / "out";
  ExpectOverwrite({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab", "256",
                   "--random", model},
                  model);
  ExpectOverwrite({"convert", base_, model, "--type", "bf16"}, model);
  ExpectOverwrite({"convert", base_, scratch_ / "out.gguf"}, scratch_ / "out.gguf");
  ExpectOverwrite({"quantize", base_, model, "--type", "int8"}, model);
  ExpectOverwrite({"logits", base_, "--tokens", "1,2", "--out", out}, out);
  ExpectOverwrite({"grad", base_, "--tokens", "1,2", "--out", out}, out);
  ExpectOverwrite({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--save-state", out},
                  out);
  const std::string state = scratch_ / "a.state", raw = scratch_ / "a.bin";
  fs::rename(out, state);
  for (const char* layout : {"reference", "rwkv.cpp", "web-rwkv", "time_state"}) {
    ExpectOverwrite({"state", "export", state, "--layout", layout, raw}, raw);
  }
  ExpectOverwrite({"state", "import", raw, "--layout", "time_state", "--model", base_, out}, out);
  ExpectOverwrite({"vocab", "train", story_, "--size", "300", "--out", out}, out);
  for (const char* ending : {".bin", ".idx", ".mask", ".vocab.json"}) {
    const std::string name = scratch_ / "new", file = name + ending;
    const Words build = {"data", "build", story_, "--model", base_, "--out", name};
    WriteFile(file, "notes");
    ExpectKept(build, file, "not tokenized data");
    Expect(build + Words{"--overwrite"});
    Expect(build);
  }
  ExpectOverwrite({"plot", WriteRun(), "--out", out}, out);
}

// Kinds are told apart by what is in a file, not by its name.
TEST_F(InputsStayTest, AModelIsNoStateNorTheReverse) {
  const std::string model = scratch_ / "a.state", state = scratch_ / "b.safetensors";
  Expect({"convert", base_, scratch_ / "a.safetensors"});
  fs::rename(scratch_ / "a.safetensors", model);
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--save-state", state});
  ExpectKept({"generate", base_, "--prompt", "a", "--save-state", model}, model,
             "holds a model, not a saved state");
  ExpectKept({"convert", base_, state}, state, "holds a saved state, not a model");
  ExpectKept({"grad", base_, "--tokens", "1,2", "--out", state}, state,
             "holds a saved state, not gradients");
}

TEST_F(InputsStayTest, DevicesAreFree) {
  Expect({"logits", base_, "--tokens", "1,2", "--out", "/dev/null"});
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "1", "--save-state", "/dev/null"});
}

TEST_F(InputsStayTest, OverwriteIsAnOptionOfWhatWrites) {
  for (const Words& words :
       {Words{"inspect", base_}, Words{"tokenize", "--model", base_}, Words{"bench", base_}}) {
    EXPECT_EQ(RunLinnet(words + Words{"--overwrite"}).exit_code, 2) << words[0];
  }
}

TEST_F(InputsStayTest, ATalkSavesItsStateOverNothingElse) {
  const std::string notes = scratch_ / "notes", state = scratch_ / "talk.state",
                    first = scratch_ / "first.state";
  const auto talk = [&](const std::string& lines, const Words& more = {}) {
    return RunLinnet(Words{"chat", base_} + more, lines).err;
  };
  const std::string model = ReadFile(base_);
  for (const char* save : {"/save ", "/save! "}) {
    EXPECT_NE(talk(save + base_ + "\n").find("is read by this command"), std::string::npos);
    EXPECT_NE(talk(save + Link(base_, save[5] == ' ' ? "one" : "two") + "\n").find("is read by"),
              std::string::npos);
  }
  EXPECT_TRUE(ReadFile(base_) == model);
  WriteFile(notes, "notes");
  const std::string refused = talk("/save " + notes + "\n");
  EXPECT_NE(refused.find("notes: exists and holds text, not a saved state"), std::string::npos)
      << refused;
  EXPECT_NE(refused.find("/save! FILE"), std::string::npos) << refused;
  EXPECT_EQ(ReadFile(notes), "notes");
  EXPECT_NE(talk("/save! " + notes + "\n").find("(saved to"), std::string::npos);
  EXPECT_NE(ReadFile(notes), "notes");
  // Its own file as often as it likes, but not one that it went on from.
  const std::string again = talk("/save " + state + "\n/load " + state + "\n/save " + state + "\n");
  EXPECT_EQ(again.find("is read by"), std::string::npos) << again;
  Expect({"generate", base_, "--prompt", "a", "--max-tokens", "2", "--save-state", first});
  const std::string loaded = talk("/load " + first + "\n/save " + first + "\n");
  EXPECT_NE(loaded.find("is read by"), std::string::npos) << loaded;
  EXPECT_NE(talk("/save " + state + "\n", {"--state", state}).find("is read by"),
            std::string::npos);
}

}  // namespace
}  // namespace linnet
