// What learns and what does not: --tune, --freeze, adapters on packed bases, and --trace.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "io/tensor_file.h"
#include "training.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class TuningTest : public ByteModelTest {
 protected:
  Words Train(const std::string& out, const Words& more) const {
    return Words{"train",  "--base",  base_,   "--data",  scratch_ / "data",
                 "--out",  out,       "--ctx", "32",      "--batch",
                 "2",      "--steps", "6",     "--every", "2",
                 "--keep", "0",       "--lr",  "1e-2",    "--threads",
                 "2"} +
           more;
  }

  double BitsPerByte(const Words& words) const {
    const std::string out = Expect(Words{"perplexity", base_, story_, "--json"} + words);
    return json::parse(out)["bits_per_byte"].get<double>();
  }
};

// Every tensor of the base either has its bits in the model, or all of what was to learn moved.
void ExpectOnlyMoved(const std::string& before, const std::string& after, const std::regex& moved) {
  const TensorFile a = TensorFile::Open(before), b = TensorFile::Open(after);
  ASSERT_EQ(a.tensors().size(), b.tensors().size());
  size_t kept = 0;
  for (const TensorView& t : a.tensors()) {
    const TensorView* now = b.Find(t.name);
    ASSERT_NE(now, nullptr) << t.name;
    const auto x = ReadAll(t), y = ReadAll(*now);
    ASSERT_EQ(x.size(), y.size());
    const bool same = std::memcmp(x.data(), y.data(), x.size() * sizeof(float)) == 0;
    EXPECT_EQ(same, !std::regex_search(t.name, moved)) << t.name;
    kept += same;
  }
  EXPECT_GT(kept, 0u);
  EXPECT_LT(kept, a.tensors().size());
}

TEST_F(TuningTest, OnlyTheHeadMovesWithTuneHead) {
  const std::string run = scratch_ / "run";
  Expect(Train(run, {"--tune", "head", "--precision", "f32"}));
  ExpectOnlyMoved(base_, run + "/model.pth", std::regex("^(head|ln_out)\\."));
  EXPECT_LT(
      json::parse(Expect({"perplexity", run + "/model.pth", story_, "--json"}))["bits_per_byte"]
          .get<double>(),
      BitsPerByte({}) - 0.1);
}

TEST_F(TuningTest, WhatFreezeNamesKeepsItsBits) {
  const std::string run = scratch_ / "run";
  Expect(Train(run, {"--freeze", "\\.att\\.|^emb", "--precision", "f32"}));
  ExpectOnlyMoved(base_, run + "/model.pth", std::regex("^(?!emb|.*\\.att\\.)"));
  // Also beside --tune, and when nothing is left.
  fs::remove_all(run);
  Expect(Train(run, {"--freeze", "head", "--tune", "head", "--precision", "f32"}));
  ExpectOnlyMoved(base_, run + "/model.pth", std::regex("^ln_out\\."));
  fs::remove_all(run);
  const Outcome none = RunLinnet(Train(run, {"--freeze", "."}));
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_NE(none.err.find("no parameter is left to learn"), std::string::npos) << none.err;
}

// RWKV-7b: the whole model, a LoRA and a tuned state, which later commands take.
TEST_F(TuningTest, AModelWithAttentionLearns) {
  const std::string base = scratch_ / "7b.safetensors";
  Expect({"init", "--generation", "7b", "--layers", "2", "--width", "64", "--vocab", "256",
          "--random", base});
  const auto score = [&](const std::string& model, const Words& more) {
    const std::string out = Expect(Words{"perplexity", model, story_, "--json"} + more);
    return json::parse(out)["bits_per_byte"].get<double>();
  };
  const double before = score(base, {});
  const auto train = [&](const std::string& out, const Words& more) {
    Words all = Train(out, more);
    all[2] = base;
    Expect(all);
    return out;
  };
  EXPECT_LT(score(train(scratch_ / "whole", {"--precision", "f32"}) + "/model.pth", {}), before);
  const std::string lora = train(scratch_ / "lora", {"--tune", "lora", "--rank", "4"});
  EXPECT_LT(score(base, {"--lora", lora + "/adapter.safetensors"}), before);
  const std::string state = train(scratch_ / "state", {"--tune", "state"});
  EXPECT_LT(score(base, {"--state", state + "/state.pth"}), before);
}

class PackedBaseTest : public TuningTest, public ::testing::WithParamInterface<const char*> {};

// Of a base that lies packed in its file: learnt, cut off, gone on with, and loaded.
TEST_P(PackedBaseTest, LearnsALoraResumesAndLoads) {
  const std::string packed = scratch_ / "packed.safetensors", whole = scratch_ / "whole",
                    cut = scratch_ / "cut", adapter = "/adapter.safetensors";
  Expect({"quantize", base_, packed, "--type", GetParam()});
  const std::string before = ReadFile(packed);
  const auto train = [&](const std::string& out) {
    Words all = Train(out, {"--tune", "lora", "--rank", "4"});
    all[2] = packed;
    return all;
  };
  Expect(train(whole));
  Expect(train(cut));
  for (const char* file :
       {"/checkpoint-00000006.safetensors", "/checkpoint-00000004.safetensors"}) {
    fs::remove(cut + file);
  }
  fs::remove(cut + adapter);
  Expect({"train", "--out", cut, "--resume", "--threads", "1"});
  for (const std::string& file : {adapter, std::string("/checkpoint-00000006.safetensors")}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
  EXPECT_TRUE(ReadFile(packed) == before);
  const auto score = [&](const Words& more) {
    const std::string out = Expect(Words{"perplexity", packed, story_, "--json"} + more);
    return json::parse(out)["bits_per_byte"].get<double>();
  };
  EXPECT_LT(score({"--lora", whole + adapter}), score({}) - 0.1);
  EXPECT_EQ(score({"--lora", whole + adapter + ":0"}), score({}));
  EXPECT_NE(Expect({"generate", packed, "--lora", whole + adapter, "--prompt", "The",
                    "--max-tokens", "8", "--seed", "1", "--json"}),
            "");
  // It knows its model also where that is not packed, and no other.
  EXPECT_LT(BitsPerByte({"--lora", whole + adapter}), BitsPerByte({}) - 0.1);
}

INSTANTIATE_TEST_SUITE_P(Formats, PackedBaseTest, testing::Values("int8", "nf4"));

// One object of losses, rates, norms and the sums of all values; and no file is written.
TEST_F(TuningTest, ATraceIsOneObjectOfAllParametersAndWritesNothing) {
  const std::string trace = scratch_ / "trace.json", here = scratch_ / "here",
                    grad = scratch_ / "grad.safetensors";
  fs::create_directory(here);
  const std::vector<int> row = {84, 104, 101, 32, 111, 119, 108, 32, 115, 97, 105, 100};
  WriteFile(trace, json{{"tokens", {{row}, {row}, {row}}}}.dump());
  const auto written = fs::last_write_time(base_);
  const auto files = [&] {
    std::set<std::string> names;
    for (const auto& e : fs::directory_iterator(fs::path(base_).parent_path())) {
      names.insert(e.path().filename().string());
    }
    return names;
  };
  const auto before = files();
  const auto run = [&](const Words& more) {
    const Outcome outcome =
        RunProgram("/usr/bin/env", Words{"-C", here, LINNET_PROGRAM, "train", "--base", base_,
                                         "--trace", trace, "--precision", "f32"} +
                                       more);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out);
  };
  const json result = run({});
  std::set<std::string> keys;
  for (const auto& [key, value] : result.items()) keys.insert(key);
  EXPECT_EQ(keys, (std::set<std::string>{"loss", "lr", "grad_norm", "sum_abs_after"}));
  for (const char* key : {"loss", "lr", "grad_norm"}) EXPECT_EQ(result[key].size(), 3u) << key;
  EXPECT_LT(result["loss"][2].get<double>(), result["loss"][0].get<double>());
  EXPECT_TRUE(fs::is_empty(here));
  EXPECT_EQ(files(), before);
  EXPECT_EQ(fs::last_write_time(base_), written);

  // The first loss and norm are those of the gradient; with a rate of 0 all values stay.
  Expect({"grad", base_, "--tokens", "84,104,101,32,111,119,108,32,115,97,105,100", "--l2wrap",
          "--out", grad});
  const TensorFile gradient = TensorFile::Open(grad), model = TensorFile::Open(base_);
  double squares = 0;
  for (const TensorView& t : gradient.tensors()) {
    if (t.name == "loss") continue;
    for (const float x : ReadAll(t)) squares += double{x} * x;
  }
  EXPECT_NEAR(result["loss"][0].get<double>(), ReadAll(*gradient.Find("loss"))[0], 1e-5);
  EXPECT_NEAR(result["grad_norm"][0].get<double>(), std::sqrt(squares), 1e-5 * std::sqrt(squares));
  const json still = run({"--lr", "0"});
  EXPECT_EQ(still["lr"], (json{0.0, 0.0, 0.0}));
  ASSERT_EQ(still["sum_abs_after"].size(), model.tensors().size());
  for (const TensorView& t : model.tensors()) {
    double sum = 0;
    for (const float x : ReadAll(t)) sum += std::abs(double{x});
    ASSERT_TRUE(still["sum_abs_after"].contains(t.name)) << t.name;
    EXPECT_NEAR(still["sum_abs_after"][t.name].get<double>(), sum, 1e-9 * sum) << t.name;
  }
  const json rates = run({"--lr", "1e-3:1e-5", "--warmup", "0"})["lr"];
  EXPECT_EQ(rates[0], 1e-3);
  EXPECT_GT(rates[0], rates[1]);
  EXPECT_GT(rates[1], rates[2]);
  EXPECT_EQ(RunLinnet({"train", "--base", base_, "--trace", scratch_ / "none.json"}).exit_code, 1);
}

// A disk that is full while a checkpoint is written: one line, and the run goes on from the last
// one as if nothing had been. RLIMIT_FSIZE with SIGXFSZ ignored stands in for the disk.
TEST_F(TuningTest, AFullDiskLeavesTheLastCheckpoint) {
  const std::string whole = scratch_ / "whole", cut = scratch_ / "cut";
  Expect(Train(whole, {}));
  Expect(Train(cut, {}));
  for (const char* file : {"/checkpoint-00000006.safetensors", "/model.pth"}) {
    fs::remove(cut + file);
  }
  const std::string last = cut + "/checkpoint-00000004.safetensors", saved = ReadFile(last);
  const Outcome full =
      RunProgram("/bin/sh", {"-c", "trap '' XFSZ; ulimit -f 128; exec \"$0\" \"$@\"",
                             LINNET_PROGRAM, "train", "--out", cut, "--resume"});
  EXPECT_EQ(full.exit_code, 1) << full.err;
  EXPECT_NE(full.err.find("checkpoint-00000006.safetensors: cannot write: "), std::string::npos)
      << full.err;
  EXPECT_TRUE(ReadFile(last) == saved);
  EXPECT_FALSE(fs::exists(cut + "/checkpoint-00000006.safetensors"));
  Expect({"train", "--out", cut, "--resume"});
  for (const char* file : {"/model.pth", "/checkpoint-00000006.safetensors"}) {
    EXPECT_TRUE(ReadFile(whole + file) == ReadFile(cut + file)) << file;
  }
}

TEST_F(TuningTest, AFolderThatCannotBeWrittenIsSaidAtOnce) {
  // Below a file, and where not even root may make one.
  for (const std::string& out : {story_ + "/run", std::string("/proc/linnet/run")}) {
    const Outcome outcome = RunLinnet(Train(out, {}));
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find(out + ": cannot be made: "), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\n'), outcome.err.size() - 1) << outcome.err;
  }
}

}  // namespace
}  // namespace linnet
