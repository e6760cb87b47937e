// ModelIn: which file of a folder is the model, of a run at each stage of its life.
#include "io/model_folder.h"

#include <gtest/gtest.h>

#include "io/tensor_file.h"
#include "io/test_bytes.h"

namespace linnet {
namespace {

using namespace test;  // NOLINT
namespace fs = std::filesystem;

std::string File(const std::string& metadata) {
  return Safetensors(R"({"__metadata__":{)" + metadata +
                         R"(},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                     1);
}

class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() {
    Write("run.json", R"({"options": {}, "base_hash": "", "data_hash": "d"})");
    Write("init.safetensors", File(""));
  }
  void Write(const char* name, const std::string& bytes) { folder_.Write(name, bytes); }
  void Checkpoint(const char* name, const std::string& metadata = "") {
    Write(name, File(R"("kind":"linnet training")" + metadata));
  }
  std::string Found() const { return ModelIn(folder_.path()).filename().string(); }
  std::string Refusal() const {
    return MessageOf([&] { ModelIn(folder_.path()); });
  }

  TemporaryFolder folder_;
};

TEST_F(RunFolderTest, BeforeTheFirstCheckpointThereIsNoModel) {
  EXPECT_EQ(Refusal().find(folder_.path().string() + ": a run that has saved no checkpoint"), 0u)
      << Refusal();
}

TEST_F(RunFolderTest, WhileItRunsItIsTheNewestWholeCheckpoint) {
  Checkpoint("checkpoint-00000005.safetensors");
  Checkpoint("checkpoint-00000010.safetensors");
  EXPECT_EQ(Found(), "checkpoint-00000010.safetensors");
  const std::string whole = File("");
  Write("checkpoint-00000015.safetensors", whole.substr(0, whole.size() - 1));
  Write("checkpoint-00000020.safetensors.12.0.tmp", whole);
  EXPECT_EQ(Found(), "checkpoint-00000010.safetensors");
}

TEST_F(RunFolderTest, AtItsEndItIsTheResultUntilItGoesOn) {
  Checkpoint("checkpoint-00000010.safetensors");
  Write("model.pth", "of the reference's programs");
  Write("model.safetensors", File(R"("steps":"10")"));
  EXPECT_EQ(Found(), "model.safetensors");
  Checkpoint("checkpoint-00000015.safetensors");
  EXPECT_EQ(Found(), "checkpoint-00000015.safetensors");
  Write("model.safetensors", File(R"("steps":"15")"));
  EXPECT_EQ(Found(), "model.safetensors");
  // Opened by its folder's name, it is that file.
  EXPECT_EQ(TensorFile::Open(folder_.path()).path(), folder_ / "model.safetensors");
  EXPECT_EQ(FilesOf(folder_.path()), std::vector<fs::path>{folder_ / "model.safetensors"});
}

TEST_F(RunFolderTest, AModelThatSaysNoStepIsTheResult) {
  Checkpoint("checkpoint-00000010.safetensors");
  Write("model.pth", "as older versions left it");
  EXPECT_EQ(Found(), "model.pth");
  Write("model.safetensors", File(""));
  EXPECT_EQ(Found(), "model.safetensors");
}

TEST_F(RunFolderTest, CheckpointsOfAPartAreNoModel) {
  Checkpoint("checkpoint-00000010.safetensors", R"(,"part":"true")");
  EXPECT_NE(Refusal().find("hold only the parameters that learn"), std::string::npos) << Refusal();
  Write("model.safetensors", File(R"("steps":"5")"));
  EXPECT_EQ(Found(), "model.safetensors");
}

TEST_F(RunFolderTest, ARunBesideItsBaseNamesWhatItLeft) {
  Checkpoint("checkpoint-00000010.safetensors", R"(,"part":"true")");
  Write("start.safetensors", File(""));
  EXPECT_NE(Refusal().find("an adapter or a state beside its base"), std::string::npos)
      << Refusal();
  Write("adapter.safetensors", File(""));
  EXPECT_NE(Refusal().find((folder_ / "adapter.safetensors").string()), std::string::npos)
      << Refusal();
}

}  // namespace
}  // namespace linnet
