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

// Of each generation one, in all kinds of files: making and converting them takes most of the time.
TEST(Memory, RunningPeaksAtTheFilesSizeAndALittle) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const ScratchFolder scratch;
  const auto init = [](const char* generation, const std::string& file) {
    Expect({"init", "--generation", generation, "--layers", "12", "--width", "768", "--random",
            "--dtype", "bf16", file});
    ExpectAPeakNearTheSizeOf(file);
  };
  const auto convert = [](const std::string& model, const std::string& file, const char* type) {
    Expect({"convert", model, file, "--type", type});
    ExpectAPeakNearTheSizeOf(file);
    std::filesystem::remove(file);
  };
  const std::string v4 = scratch / "v4.pth", v6 = scratch / "v6.safetensors",
                    v7 = scratch / "v7.safetensors";
  init("4", v4);
  std::filesystem::remove(v4);
  init("6", v6);
  convert(v6, scratch / "v6.gguf", "q8_0");
  std::filesystem::remove(v6);
  init("7", v7);
  convert(v7, scratch / "v7.pth", "bf16");
  convert(v7, scratch / "v7.gguf", "f16");
}

// Wherever memory ends, in whichever thread: one line and an exit code, no abort.
TEST(Memory, TooLittleOfItEndsInOneLine) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  const ScratchFolder scratch;
  const std::string model = scratch / "model.safetensors", small = scratch / "small.safetensors";
  Expect({"init", "--generation", "7", "--layers", "3", "--width", "512", "--vocab", "4096",
          "--random", model});
  const std::string calls[] = {
      fmt::format("logits {} --tokens 1,2,3,4,5,6,7,8,9 --out {}", model, scratch / "logits"),
      fmt::format("quantize {} {} --type nf4", model, small),
      fmt::format("bench {} --prompt 32 --decode 4 --batch 2", model),
      fmt::format("grad {} --tokens 1,2,3,4 --out {}", model, scratch / "gradients")};
  for (const std::string& call : calls) {
    size_t ends = 0;  // with what it was asked for
    bool starts = false;
    for (size_t megabytes = 40; megabytes < 2000 && ends < 3; megabytes += megabytes / 14) {
      const std::string limited =
          fmt::format("ulimit -v {}; exec {} ", megabytes * 1024, LINNET_PROGRAM);
      // Too little for the system's own libraries, which are loaded and initialized before main.
      starts = starts || RunProgram("/bin/bash", {"-c", limited + "--version"}).exit_code == 0;
      if (!starts) continue;
      const std::string line = limited + call;
      const Outcome outcome = RunProgram("/bin/bash", {"-c", line});
      ASSERT_TRUE(outcome.exit_code == 0 || outcome.exit_code == 1) << line << outcome.err;
      if (outcome.exit_code == 0) ++ends;
      if (outcome.exit_code == 1) {
        const size_t begin = outcome.err.find("linnet: ");
        ASSERT_NE(begin, std::string::npos) << line << outcome.err;
        EXPECT_EQ(outcome.err.find('\n', begin) + 1, outcome.err.size()) << outcome.err;
      }
    }
    EXPECT_EQ(ends, 3u) << call;
  }
}

}  // namespace
}  // namespace linnet
