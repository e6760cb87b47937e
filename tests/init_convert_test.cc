// linnet init and convert, as users run them.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "io/tensor_file.h"
#include "models/detect.h"
#include "models/names.h"
#include "program.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kGenerations[] = {"4", "5.0", "5.1", "5.2", "6", "6moe", "7"};

std::vector<std::string> Init(const std::string& generation, const std::string& out,
                              const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = {"init",    "--generation", generation, "--layers", "3",
                                    "--width", "128",          "--vocab",  "320",      out};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST(Init, EveryGenerationIsWhatItSaysAndRunsToFiniteLogits) {
  const ScratchFolder scratch;
  for (const std::string generation : kGenerations) {
    for (const char* ending : {".safetensors", ".pth"}) {
      for (const bool random : {false, true}) {
        const std::string file = scratch / ("model" + std::string(ending)).c_str();
        const std::string logits = scratch / "logits.safetensors";
        auto words = Init(generation, file, {"--dtype", random ? "f16" : "f32"});
        if (random) words.push_back("--random");
        const Outcome init = RunLinnet(words);
        ASSERT_EQ(init.exit_code, 0) << init.err;
        EXPECT_EQ(init.out, "");
        EXPECT_EQ(Name(ConfigOf(Checkpoint(file)).generation), generation);
        const Outcome run = RunLinnet(
            {"logits", file, "--tokens", "1,2,3,319,0,7,7,7,7,7,7,7,100,200", "--out", logits});
        ASSERT_EQ(run.exit_code, 0) << run.err;
        const TensorFile result = TensorFile::Open(logits);
        double largest = 0;
        for (const float x : ReadAll(*result.Find("logits"))) {
          ASSERT_TRUE(std::isfinite(x)) << generation;
          largest = std::max(largest, std::abs(double{x}));
        }
        EXPECT_GT(largest, 0.01) << generation;
        EXPECT_LT(largest, 100) << generation;
      }
    }
  }
}

TEST(Init, SameSeedSameBytesOnAnyNumberOfThreads) {
  const ScratchFolder scratch;
  const std::string a = scratch / "a.safetensors", b = scratch / "b.safetensors";
  for (const std::string generation : kGenerations) {
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{"--seed", "5"}, {"--seed", "5", "--random"}}) {
      auto one = Init(generation, a, more), three = Init(generation, b, more);
      one.insert(one.end(), {"--threads", "1"});
      three.insert(three.end(), {"--threads", "3"});
      ASSERT_EQ(RunLinnet(one).exit_code, 0);
      ASSERT_EQ(RunLinnet(three).exit_code, 0);
      const std::string bytes = ReadFile(a);
      EXPECT_TRUE(bytes == ReadFile(b)) << generation;
      three[std::find(three.begin(), three.end(), "5") - three.begin()] = "6";
      ASSERT_EQ(RunLinnet(three).exit_code, 0);
      EXPECT_FALSE(bytes == ReadFile(b)) << generation;
    }
  }
}

TEST(Init, JsonGivesTheSizes) {
  const ScratchFolder scratch;
  const std::string file = scratch / "v7.safetensors";
  const Outcome init = RunLinnet({"init", "--generation", "7", "--layers", "12", "--width", "768",
                                  "--random", "--json", file});
  ASSERT_EQ(init.exit_code, 0) << init.err;
  const json result = json::parse(init.out);
  EXPECT_EQ(result["parameters"], 191034624);
  EXPECT_EQ(result["bytes"], fs::file_size(file));
  EXPECT_EQ(result["ranks"], (json{{"w", 64}, {"a", 64}, {"v", 32}, {"g", 128}}));
  EXPECT_NE(init.err.find("191034624"), std::string::npos);
}

TEST(Init, AMixtureHasAsManyExpertsAsItSays) {
  const ScratchFolder scratch;
  const std::string file = scratch / "moe.safetensors";
  const Outcome init = RunLinnet(Init("6moe", file, {"--experts", "5", "--json"}));
  ASSERT_EQ(init.exit_code, 0) << init.err;
  EXPECT_EQ(json::parse(init.out)["experts"], 5);
  const Outcome inspect = RunLinnet({"inspect", file, "--json"});
  ASSERT_EQ(inspect.exit_code, 0) << inspect.err;
  EXPECT_EQ(json::parse(inspect.out)["generation"], "6moe");
  EXPECT_EQ(json::parse(inspect.out)["experts"], 5);
  EXPECT_FALSE(json::parse(inspect.out).contains("matched"));
  const Outcome other = RunLinnet(Init("7", scratch / "v7.safetensors", {"--experts", "5"}));
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_NE(other.err.find("RWKV-7 has no experts"), std::string::npos) << other.err;
}

// Names that are not known: convert says what it took for what.
TEST(Convert, SaysWhichExpertsItToldByTheirShapes) {
  const ScratchFolder scratch;
  const std::string file = scratch / "moe.safetensors", out = scratch / "out.safetensors";
  ASSERT_EQ(RunLinnet(Init("6moe", file, {"--experts", "2"})).exit_code, 0);
  std::string bytes = ReadFile(file);
  const std::string known = "deepspeed_moe.experts.deepspeed_experts",
                    other = "another_name.of_those.with_as_many_char";
  ASSERT_EQ(known.size(), other.size());
  for (size_t at = 0; (at = bytes.find(known, at)) != std::string::npos;) {
    bytes.replace(at, known.size(), other);
  }
  std::ofstream(file, std::ios::binary) << bytes;
  const Outcome convert = RunLinnet({"convert", file, out, "--json"});
  ASSERT_EQ(convert.exit_code, 0) << convert.err;
  const json matched = json::parse(convert.out)["matched"];
  EXPECT_EQ(matched.size(), 3u * 2 * 2);
  EXPECT_EQ(matched["blocks.1.ffn.moe." + other + ".1.ffn_value.weight"],
            "blocks.1.ffn.moe." + known + ".1.ffn_value.weight");
  EXPECT_NE(convert.err.find("12 tensors told by their shapes"), std::string::npos) << convert.err;
  EXPECT_EQ(ConfigOf(Checkpoint(out)).experts, 2u);
}

TEST(Init, BadSizesAreOneLineAndNoFile) {
  const ScratchFolder scratch;
  const std::string file = scratch / "out.safetensors";
  for (const auto& more :
       std::vector<std::vector<std::string>>{{"--head-size", "60"}, {"--vocab", "0"}}) {
    std::vector<std::string> words = {"init", "--generation", "7",  "--layers",
                                      "1",    "--width",      "64", file};
    words.insert(words.end(), more.begin(), more.end());
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 1) << more[0];
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    EXPECT_FALSE(fs::exists(file));
  }
  EXPECT_EQ(RunLinnet(Init("8", file)).exit_code, 2);
  EXPECT_EQ(RunLinnet({"init", file}).exit_code, 2);
}

// Ctrl-C, and what `timeout`, a shutdown and a lost terminal send.
TEST(Init, AnInterruptLeavesNothing) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    const ScratchFolder scratch;
    const std::string folder = scratch / "out";
    fs::create_directory(folder);
    const auto begun = [&](const std::string&) { return !fs::is_empty(folder); };
    const Outcome outcome = SignalLinnet({"init", "--generation", "7", "--layers", "32", "--width",
                                          "4096", "--random", folder + "/model.safetensors"},
                                         begun, signal);
    EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
    EXPECT_TRUE(fs::is_empty(folder)) << signal;
  }
}

// A file of another format under a name that promises this one helps nobody.
TEST(Init, AnEndingOfAnotherFormatIsWrongUsage) {
  const ScratchFolder scratch;
  for (const char* name : {"i.gguf", "i.txt", "i.pt", "i.PTH"}) {
    const Outcome outcome = RunLinnet(Init("4", scratch / name));
    EXPECT_EQ(outcome.exit_code, 2) << name;
    EXPECT_NE(outcome.err.find("must end in .safetensors or .pth"), std::string::npos)
        << outcome.err;
    EXPECT_FALSE(fs::exists(scratch / name));
  }
  for (const char* name : {"i.st", "i", "rwkv-v4.20"}) {  // promise nothing else
    EXPECT_EQ(RunLinnet(Init("4", scratch / name)).exit_code, 0);
    EXPECT_EQ(RunLinnet({"inspect", scratch / name}).exit_code, 0) << name;
  }
  EXPECT_EQ(RunLinnet(Init("4", scratch / "i.pth", {"--dtype", "nf4"})).exit_code, 2);
  EXPECT_EQ(RunLinnet({"merge", scratch / "i.st", "lora.pth", scratch / "m.txt"}).exit_code, 2);
}

TEST(Convert, GoesThroughEveryContainerUnchanged) {
  const ScratchFolder scratch;
  const std::string a = scratch / "a.safetensors", b = scratch / "b.pth", c = scratch / "c.st";
  for (const std::string generation : kGenerations) {
    ASSERT_EQ(RunLinnet(Init(generation, a)).exit_code, 0);
    ASSERT_EQ(RunLinnet({"convert", a, b}).exit_code, 0);
    const Outcome outcome = RunLinnet({"convert", b, c, "--json"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(json::parse(outcome.out)["from"], "BlinkDL");
    const TensorFile first = TensorFile::Open(a), last = TensorFile::Open(c);
    ASSERT_EQ(first.tensors().size(), last.tensors().size());
    for (size_t i = 0; i < first.tensors().size(); ++i) {
      const TensorView &x = first.tensors()[i], &y = last.tensors()[i];
      EXPECT_EQ(x.name, y.name);
      EXPECT_EQ(x.type, y.type);
      EXPECT_EQ(x.shape, y.shape);
      EXPECT_EQ(ReadAll(x), ReadAll(y)) << x.name;
    }
  }
}

TEST(Convert, WhatCannotBeWrittenIsSaid) {
  const ScratchFolder scratch;
  const std::string model = scratch / "a.safetensors";
  ASSERT_EQ(RunLinnet(Init("4", model)).exit_code, 0);
  const Outcome gguf = RunLinnet({"convert", model, scratch / "a.gguf"});
  EXPECT_EQ(gguf.exit_code, 1);
  EXPECT_NE(gguf.err.find("RWKV-4"), std::string::npos) << gguf.err;
  EXPECT_EQ(std::count(gguf.err.begin(), gguf.err.end(), '\n'), 1) << gguf.err;
  for (const char* name : {"a.txt", "a.foo", "a.PTH", "a.safetensor"}) {
    const Outcome unknown = RunLinnet({"convert", model, scratch / name});
    EXPECT_EQ(unknown.exit_code, 2) << name;
    EXPECT_NE(unknown.err.find("must end in .safetensors or .pth or .gguf"), std::string::npos)
        << unknown.err;
    EXPECT_FALSE(fs::exists(scratch / name));
  }
  WriteFile(scratch / "page.pth", "<!DOCTYPE html><html></html>");
  const Outcome page = RunLinnet({"convert", scratch / "page.pth", scratch / "b.pth"});
  EXPECT_EQ(page.exit_code, 1);
  EXPECT_FALSE(fs::exists(scratch / "b.pth"));
}

TEST(Init, SaysBeforehandThatTheDiskIsTooSmall) {
  const ScratchFolder scratch;
  for (const std::string type : {"bf16", "nf4"}) {
    for (const char* name : {"new.safetensors", "new.pth"}) {
      const std::string out = scratch / name;
      if (type == "nf4" && out.back() == 'h') continue;
      const Outcome outcome = RunLinnet({"init", "--generation", "7", "--layers", "1000", "--width",
                                         "65536", "--random", "--dtype", type, out});
      EXPECT_EQ(outcome.exit_code, 1);
      EXPECT_NE(outcome.err.find(out + ": would take "), std::string::npos) << outcome.err;
      EXPECT_NE(outcome.err.find(" GB are free there"), std::string::npos) << outcome.err;
      EXPECT_FALSE(std::filesystem::exists(out));
    }
  }
}

class OutputsTest : public ::testing::Test {
 protected:
  ScratchFolder scratch_;
  const std::string model_ = scratch_ / "model.safetensors";
  const Words init_ = {"init",    "--generation", "4",       "--layers", "1",
                       "--width", "64",           "--vocab", "256"};
};

TEST_F(OutputsTest, ThatNoFileCanBeAreRefusedBeforeAnyWork) {
  const std::string pipe = scratch_ / "pipe";
  ASSERT_EQ(RunLinnet(init_ + Words{model_}).exit_code, 0);
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const std::pair<std::string, std::string> bad[] = {
      {"/dev/null", "/dev/null: is a pipe or device"},
      {pipe, pipe + ": is a pipe or device"},
      {scratch_ / "none/out.safetensors",
       "out.safetensors: cannot write: there is no folder " + (scratch_ / "none")},
      {"", "the name of the file is empty"}};
  for (const auto& [out, said] : bad) {
    for (const Words& command : {init_ + Words{out}, Words{"convert", model_, out},
                                 Words{"quantize", model_, out, "--type", "int8"}}) {
      const Outcome outcome = RunLinnet(command);
      EXPECT_EQ(outcome.exit_code, 1) << command[0] << " " << out;
      EXPECT_NE(outcome.err.find(said), std::string::npos) << command[0] << ": " << outcome.err;
      EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
    }
  }
  for (const Words& command :
       {Words{"convert", "", scratch_ / "out.pth"}, Words{"inspect", ""},
        Words{"quantize", "", scratch_ / "out.safetensors", "--type", "int8"}}) {
    const Outcome outcome = RunLinnet(command);
    EXPECT_EQ(outcome.exit_code, 1) << command[0];
    EXPECT_NE(outcome.err.find("is empty"), std::string::npos) << command[0] << outcome.err;
  }
}

TEST_F(OutputsTest, TakeTheirTypeFromTheirOwnOption) {
  const std::string out = scratch_ / "out.safetensors";
  ASSERT_EQ(RunLinnet(init_ + Words{model_}).exit_code, 0);
  for (const Words& command : {init_ + Words{out}, Words{"convert", model_, out},
                               Words{"quantize", model_, out, "--type", "bf16"}}) {
    const Outcome outcome = RunLinnet(command + Words{"--quant", "int8"});
    EXPECT_EQ(outcome.exit_code, 2) << command[0];
    EXPECT_NE(outcome.err.find("--quant"), std::string::npos) << outcome.err;
    EXPECT_NE(outcome.err.find(command[0] == "init" ? "--dtype" : "--type"), std::string::npos);
    EXPECT_FALSE(fs::exists(out));
  }
}

// Types are read in any case, everywhere.
TEST_F(OutputsTest, TypesAreReadInAnyCase) {
  const std::string small = scratch_ / "small.safetensors", large = scratch_ / "large.safetensors";
  ASSERT_EQ(RunLinnet(init_ + Words{"--dtype", "F32", model_}).exit_code, 0);
  const auto same = [&](const Words& one, const Words& other) {
    for (const Words& command : {one, other}) {
      const Outcome outcome = RunLinnet(command);
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    EXPECT_TRUE(ReadFile(small) == ReadFile(large)) << other[0];
  };
  same(init_ + Words{"--dtype", "nf4", small}, init_ + Words{"--dtype", "NF4", large});
  same({"convert", model_, small, "--type", "bf16"}, {"convert", model_, large, "--type", "BF16"});
  same({"quantize", model_, small, "--type", "nf4", "--head", "int8"},
       {"quantize", model_, large, "--type", "NF4", "--head", "Int8"});
  const Words logits = {"logits", model_, "--tokens", "1,2,3", "--overwrite"};
  same(logits + Words{"--quant", "nf4:1", "--out", small},
       logits + Words{"--quant", "NF4:1", "--out", large});
}

}  // namespace
}  // namespace linnet
