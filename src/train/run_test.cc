// Runs that meet steps which cannot be taken: what is saved, what stays, and how they go on.
#include "train/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <vector>

#include "base/scratch_folder.h"
#include "io/tensor_file.h"
#include "io/tensor_writer.h"
#include "linnet/error.h"
#include "linnet/trainer.h"
#include "models/detect.h"
#include "train/run_folder.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kOdd = 40;  // the row that is none of the usual

// One row over and over, which is soon known by heart, but for one that nobody foresees.
class OneOddRow final : public SampleSource {
 public:
  void Read(uint64_t index, SampleRow& row) const override {
    row = SampleRow{{}, {}, {0}};
    for (int32_t t = 0; t < 16; ++t) {
      row.inputs.push_back(t % 4 + 1);
      row.targets.push_back(index == kOdd ? 30 - t : (t + 1) % 4 + 1);
    }
  }
  uint64_t rows_per_epoch() const override { return 1; }
};

class RunTest : public ::testing::Test {
 protected:
  RunTest() {
    InitSizes sizes;
    sizes.generation = Generation::k7;
    sizes.layers = 1;
    sizes.width = 64;
    sizes.vocab = 32;
    WriteNewModel(sizes, 1, folder_ / "model.safetensors");
    options_.every = 10;
    options_.batch_rows = 1;
    options_.schedule = {1e-2, 1e-2, 0, 60};
    learning_.precision = DType::kF32;
    learning_.clip = 0;
  }

  fs::path Folder(const std::string& name) const {
    fs::create_directories(folder_ / name);
    return folder_ / name;
  }

  // A run in this folder, from its newest checkpoint if it has one. Its error, or nothing.
  std::string Run(const std::string& name, const RunEvents& events = {}) {
    options_.out = Folder(name);
    Checkpoint checkpoint(folder_ / "model.safetensors");
    const Config config = ConfigOf(checkpoint);
    Learner learner(std::move(checkpoint), config, learning_, pool_, alone_);
    try {
      const Notes notes = LoadNewest(learner, alone_, options_.out, [&](const std::string& line) {
                            said_.push_back(line);
                          }).value_or(Notes());
      options_.rows_read = RowsRead(notes, 0);
      end_ = RunTraining(learner, OneOddRow(), alone_, options_, events, notes);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }

  std::string Bytes(const std::string& file) const {
    std::ifstream in(folder_ / file, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  bool Has(const std::string& file) const { return fs::exists(folder_ / file); }

  test::TemporaryFolder folder_;
  ThreadPool pool_{1};
  World alone_;
  RunOptions options_;
  LearnerOptions learning_;
  RunEnd end_ = RunEnd::kInterrupted;
  std::vector<std::string> said_;
};

TEST_F(RunTest, WhatWasLearntBeforeASpikeIsSaved) {
  options_.every = 25;
  const std::string error = Run("cut");
  EXPECT_EQ(error.find("step 41: the gradient norm is "), 0u) << error;
  EXPECT_NE(error.find("; step 40 is saved"), std::string::npos) << error;
  EXPECT_TRUE(Has("cut/checkpoint-00000040.safetensors"));
  EXPECT_FALSE(Has("cut/model.pth"));
  EXPECT_EQ(Run("cut").find("step 41: the gradient norm is "), 0u) << "it comes again";
  learning_.skip_spikes = true;
  EXPECT_EQ(Run("cut"), "");
  EXPECT_EQ(Run("whole"), "");
  EXPECT_TRUE(Bytes("cut/model.pth") == Bytes("whole/model.pth")) << "as one that never stopped";
  EXPECT_FALSE(Bytes("whole/model.pth").empty());
  EXPECT_TRUE(Bytes("cut/model.safetensors") == Bytes("whole/model.safetensors"));
  EXPECT_FALSE(Bytes("whole/model.safetensors").empty());
}

// The first step with it makes values that are finite still, from which no loss comes.
TEST_F(RunTest, ARunThatFellApartKeepsWhatItHadBefore) {
  options_.schedule = {1e-2, 1e-2, 0, 8};
  options_.every = 1;
  EXPECT_EQ(Run("run"), "");
  const std::string before = Bytes("run/checkpoint-00000008.safetensors");
  const std::string newest = (folder_ / "run/checkpoint-00000009.safetensors").string();
  learning_.skip_spikes = true;
  for (const uint64_t steps : {12, 60}) {
    for (const size_t keep : {1, 2}) {
      options_.schedule = {1e38, 1e38, 0, steps};
      options_.keep = keep;
      const std::string error = Run("run");
      EXPECT_NE(error.find("step "), std::string::npos) << "it was done";
      EXPECT_EQ(error.find("--lr"), std::string::npos) << error;
      EXPECT_NE(error.find("remove " + newest), std::string::npos) << error;
      EXPECT_TRUE(Bytes("run/checkpoint-00000008.safetensors") == before) << error;
      EXPECT_NE(Run("run").find("remove " + newest), std::string::npos) << "it comes again";
      fs::remove(newest);
    }
  }
  options_.schedule = {1e-2, 1e-2, 0, 12};
  EXPECT_EQ(Run("run"), "");
  EXPECT_FALSE(Has("run/checkpoint-00000008.safetensors"));
  EXPECT_TRUE(Has("run/checkpoint-00000011.safetensors"));
}

// A disk or a copy that loses something: anywhere in the file, and its end.
TEST_F(RunTest, ADamagedCheckpointIsSetAsideForAnOlderOne) {
  options_.schedule.steps = 30;
  options_.keep = 0;
  EXPECT_EQ(Run("whole"), "");
  const std::string good = Bytes("whole/checkpoint-00000030.safetensors");
  const auto with = [&](size_t begin, size_t count) {
    std::string bytes = good;
    for (size_t i = begin; i < std::min(begin + count, bytes.size()); ++i) bytes[i] ^= 0x10;
    return bytes;
  };
  size_t number = 0;
  for (const std::string& damaged :
       {with(good.size() / 2, 4096), with(good.size() - 1, 1), with(good.size() / 3, 1),
        with(good.find("norms") + 9, 1), with(good.find("rows") + 7, 1), with(0, 1), with(8, 64),
        good.substr(0, good.size() - 1), good.substr(0, good.size() / 2), std::string()}) {
    const std::string name = "cut" + std::to_string(number++);
    fs::copy(folder_ / "whole", folder_ / name);
    fs::remove(folder_ / name / "model.pth");
    folder_.Write(name + "/checkpoint-00000030.safetensors", damaged);
    said_.clear();
    EXPECT_EQ(Run(name), "") << name;
    ASSERT_EQ(said_.size(), 1u) << name;
    EXPECT_NE(said_[0].find("checkpoint-00000030.safetensors: is damaged ("), std::string::npos);
    EXPECT_NE(said_[0].find("going on from step 20"), std::string::npos) << said_[0];
    EXPECT_TRUE(Bytes(name + "/checkpoint-00000030.safetensors") == good) << name;
    EXPECT_TRUE(Bytes(name + "/model.pth") == Bytes("whole/model.pth")) << name;
  }
  // Where none is whole, nothing is begun anew unasked.
  for (const char* step : {"10", "20", "30"}) {
    folder_.Write(std::string("whole/checkpoint-000000") + step + ".safetensors", "lost");
  }
  const std::string error = Run("whole");
  EXPECT_NE(error.find("checkpoint-00000030.safetensors: is damaged"), std::string::npos) << error;
  EXPECT_EQ(error.find("download"), std::string::npos) << error;
  EXPECT_TRUE(Has("whole/checkpoint-00000030.safetensors"));
}

// As older versions wrote them.
TEST_F(RunTest, ACheckpointWithoutAChecksumIsRead) {
  options_.schedule.steps = 20;
  EXPECT_EQ(Run("run"), "");
  const fs::path path = folder_ / "run/checkpoint-00000020.safetensors";
  const fs::path old = folder_ / "old.safetensors";
  {
    const TensorFile file = TensorFile::Open(path);
    std::vector<TensorSpec> specs;
    for (const TensorView& t : file.tensors()) {
      if (t.name != "training.crc32") specs.push_back({t.name, t.type, t.shape});
    }
    EXPECT_EQ(specs.size() + 1, file.tensors().size());
    const auto writer = TensorWriter::Create(old, specs, file.metadata());
    for (const TensorSpec& spec : specs) {
      writer->AppendFloats(spec.type, ReadAll(*file.Find(spec.name)));
    }
    writer->Finish();
  }
  fs::rename(old, path);
  options_.schedule.steps = 30;
  EXPECT_EQ(Run("run"), "");
  EXPECT_EQ(said_, std::vector<std::string>());
  EXPECT_EQ(Run("whole"), "");
  EXPECT_TRUE(Bytes("run/model.pth") == Bytes("whole/model.pth"));
}

TEST_F(RunTest, LinesOfNoStepAreNotKept) {
  options_.schedule.steps = 10;
  EXPECT_EQ(Run("run"), "");
  const std::string good = Bytes("run/metrics.jsonl");
  folder_.Write("run/metrics.jsonl",
                "{\"step\":1e300}\n{\"step\":-1}\n{\"step\":\"1\"}\n[]\nstep\n" + good);
  EXPECT_EQ(Run("run"), "");
  EXPECT_EQ(Bytes("run/metrics.jsonl"), good);
}

TEST_F(RunTest, OneProgramAtATimeWorksInAFolder) {
  const fs::path folder = Folder("run");
  {
    const RunLock lock(folder);
    EXPECT_THROW(RunLock{folder}, Error);
    EXPECT_NO_THROW(RunLock{Folder("another")});
  }
  EXPECT_NO_THROW(RunLock{folder});
}

TEST_F(RunTest, NoPatienceIsLeftAfterItsEnd) {
  options_.schedule.steps = 30;
  options_.patience = 1;
  int scored = 0;
  const RunEvents events{.validate = [&](const Model&) { return Validation{1, 1.0 + ++scored}; }};
  EXPECT_EQ(Run("run", events), "");
  EXPECT_EQ(end_, RunEnd::kNoBetter);
  const std::string model = Bytes("run/model.pth"), metrics = Bytes("run/metrics.jsonl");
  EXPECT_EQ(scored, 2);
  EXPECT_EQ(Run("run", events), "");
  EXPECT_EQ(end_, RunEnd::kNoBetter);
  EXPECT_TRUE(Bytes("run/model.pth") == model);
  EXPECT_EQ(Bytes("run/metrics.jsonl"), metrics);
  options_.patience = 2;
  EXPECT_EQ(Run("run", events), "");
  EXPECT_EQ(scored, 3);
}

}  // namespace
}  // namespace linnet
