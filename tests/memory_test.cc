// Opening a checkpoint and running it stays near the file's own size, packing included.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/sanitized.h"
#include "program.h"

namespace linnet {
namespace {

void ExpectAPeakNearTheSizeOf(const std::string& file) {
  const ScratchFolder scratch;
  const auto size = static_cast<double>(std::filesystem::file_size(file));
  std::string tokens = "1";
  for (int t = 2; t < 40; ++t) tokens += fmt::format(",{}", 97 * t);
  const Outcome run =
      RunLinnet({"logits", file, "--tokens", tokens, "--out", scratch / "logits.safetensors"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_LE(static_cast<double>(run.peak_bytes), 1.15 * size + 100e6)
      << file << " of " << size << " bytes";
}

void Expect(const Words& words) {
  const Outcome outcome = RunLinnet(words);
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
}

Words Init(const char* generation, const std::string& file) {
  return {"init", "--generation", generation, "--layers", "12", "--width",
          "768",  "--random",     "--dtype",  "bf16",     file};
}

TEST(Memory, RunningPeaksAtTheFilesSizeAndALittle) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  for (const char* ending : {".safetensors", ".pth"}) {
    for (const char* generation : {"4", "6", "7"}) {
      const ScratchFolder scratch;
      const std::string file = scratch / fmt::format("v{}{}", generation, ending).c_str();
      Expect(Init(generation, file));
      ExpectAPeakNearTheSizeOf(file);
    }
  }
}

TEST(Memory, RunningGgufPeaksAtTheFilesSizeAndALittle) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  for (const char* generation : {"6", "7"}) {
    const ScratchFolder scratch;
    const std::string model = scratch / "model.safetensors";
    Expect(Init(generation, model));
    for (const char* type : {"q8_0", "f16"}) {
      const std::string file = scratch / fmt::format("v{}-{}.gguf", generation, type).c_str();
      Expect({"convert", model, file, "--type", type});
      ExpectAPeakNearTheSizeOf(file);
      std::filesystem::remove(file);
    }
  }
}

}  // namespace
}  // namespace linnet
