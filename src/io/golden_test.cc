// The checkpoints of ../shared/data: every one opens, and two namings of one model agree.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "io/tensor_file.h"
#include "linnet/error.h"

namespace linnet {
namespace {

namespace fs = std::filesystem;

const fs::path kData = "../shared/data";

#define SKIP_WITHOUT_DATA() \
  if (!fs::exists(kData)) GTEST_SKIP() << kData << " is not there"

size_t IndexOf(const std::string& name, const std::string& prefix) {
  return name.starts_with(prefix) ? static_cast<size_t>(name[prefix.size()] - '0') : SIZE_MAX;
}

TEST(GoldenTest, EveryCheckpointIsReadWhole) {
  SKIP_WITHOUT_DATA();
  size_t pth = 0, safetensors = 0;
  for (const char* folder : {"golden", "models"}) {
    for (const auto& entry : fs::directory_iterator(kData / folder)) {
      const auto ending = entry.path().extension();
      if (ending == ".json") continue;
      const auto file = TensorFile::Open(entry.path());
      (ending == ".pth" ? pth : safetensors) += 1;
      EXPECT_EQ(file.container(),
                ending == ".pth" ? Container::kTorchZip : Container::kSafetensors);
      EXPECT_EQ(file.file_bytes(), fs::file_size(entry.path()));
      size_t bytes = 0;
      for (const auto& tensor : file.tensors()) {
        EXPECT_EQ(file.Find(tensor.name), &tensor);
        bytes += tensor.elements() * ElementBytes(tensor.type);
        if (!IsFloat(tensor.type)) {
          EXPECT_EQ(ReadInts(tensor).size(), tensor.elements());
          continue;
        }
        for (const float value : ReadAll(tensor)) ASSERT_TRUE(std::isfinite(value)) << tensor.name;
        file.Drop(tensor);
      }
      // Names, headers and padding take the rest.
      EXPECT_GT(bytes, file.file_bytes() * 8 / 10) << entry.path();
      EXPECT_LT(bytes, file.file_bytes());
    }
  }
  EXPECT_EQ(pth, 14u);
  EXPECT_GE(safetensors, 20u);
}

TEST(GoldenTest, PthIsTheModelItIsNamedAfter) {
  SKIP_WITHOUT_DATA();
  const auto file = TensorFile::Open(kData / "golden/random-v7.pth");
  const TensorView* emb = file.Find("emb.weight");
  ASSERT_NE(emb, nullptr);
  EXPECT_EQ(emb->type, SourceType::kBF16);
  EXPECT_EQ(emb->shape, (std::vector<size_t>{320, 128}));
  const TensorView* x_r = file.Find("blocks.0.att.x_r");
  ASSERT_NE(x_r, nullptr);
  EXPECT_EQ(x_r->shape, (std::vector<size_t>{1, 1, 128}));
  EXPECT_EQ(x_r->Squeezed().shape, (std::vector<size_t>{128}));
  EXPECT_EQ(file.tensors().size(), 102u);
  EXPECT_EQ(file.tensors().front().name, "emb.weight");
  EXPECT_EQ(file.tensors().back().name, "head.weight");
  EXPECT_EQ(file.Find("no such name"), nullptr);
}

// The two were written by different programs, so reading one wrong shows.
TEST(GoldenTest, PthEqualsItsHuggingFaceCopy) {
  SKIP_WITHOUT_DATA();
  const auto pth = TensorFile::Open(kData / "golden/random-v7.pth");
  const auto fla = TensorFile::Open(kData / "golden/random-v7.fla.safetensors");
  const auto equal = [&](const TensorView& ours, const std::string& theirs) {
    const TensorView* other = fla.Find(theirs);
    ASSERT_NE(other, nullptr) << theirs;
    ASSERT_EQ(ours.elements(), other->elements()) << theirs;
    EXPECT_EQ(ReadAll(ours), ReadAll(*other)) << theirs;
  };
  equal(*pth.Find("emb.weight"), "model.embeddings.weight");
  equal(*pth.Find("head.weight"), "lm_head.weight");
  size_t compared = 0;
  for (const auto& tensor : pth.tensors()) {
    const size_t layer = IndexOf(tensor.name, "blocks.");
    if (layer == SIZE_MAX) continue;
    const std::string name = tensor.name.substr(9);
    const std::string attn = "model.layers." + std::to_string(layer) + ".attn.";
    // Linear layers are transposed between the two, LoRA factors of one size differ in it only.
    if (name == "att.w1") equal(tensor.Transposed(), attn + "w_lora.lora.0.weight");
    if (name == "att.w2") equal(tensor.Transposed(), attn + "w_lora.lora.2.weight");
    if (name == "att.g1") equal(tensor.Transposed(), attn + "g_lora.lora.0.weight");
    if (name == "att.receptance.weight") equal(tensor, attn + "r_proj.weight");
    if (name == "att.k_k") equal(tensor, attn + "k_k");
    if (name == "att.r_k") equal(tensor, attn + "r_k");
    ++compared;
  }
  EXPECT_GT(compared, 90u);
}

TEST(GoldenTest, GgufAndGgmfAreRead) {
  SKIP_WITHOUT_DATA();
  const auto gguf = TensorFile::Open(kData / "gguf" / "v7-Q4_0.gguf");
  EXPECT_EQ(gguf.container(), Container::kGguf);
  EXPECT_EQ(gguf.metadata().at("general.architecture"), "rwkv7");
  EXPECT_EQ(ReadAll(*gguf.Find("blk.1.time_mix_key.weight")).size(), 256u * 256u);
  const auto ggmf = TensorFile::Open(kData / "gguf" / "tiny-v7-Q5_1.ggmf.bin");
  EXPECT_EQ(ggmf.container(), Container::kGgmf);
  EXPECT_EQ(ReadAll(*ggmf.Find("blocks.0.att.key.weight")).size(), 64u * 64u);
}

}  // namespace
}  // namespace linnet
