// Opening a checkpoint and running it stays near the file's own size, packing included.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/sanitized.h"
#include "program.h"

namespace linnet {
namespace {

TEST(Memory, RunningPeaksAtTheFilesSizeAndALittle) {
  if (kSanitized) GTEST_SKIP() << "a sanitizer takes memory of its own";
  for (const char* ending : {".safetensors", ".pth"}) {
    for (const char* generation : {"4", "7"}) {
      const ScratchFolder scratch;
      const std::string file = scratch / fmt::format("model{}", ending).c_str();
      const Outcome init = RunLinnet({"init", "--generation", generation, "--layers", "12",
                                      "--width", "768", "--random", "--dtype", "bf16", file});
      ASSERT_EQ(init.exit_code, 0) << init.err;
      const auto size = static_cast<double>(std::filesystem::file_size(file));
      std::string tokens = "1";
      for (int t = 2; t < 40; ++t) tokens += fmt::format(",{}", 97 * t);
      const Outcome run =
          RunLinnet({"logits", file, "--tokens", tokens, "--out", scratch / "logits.safetensors"});
      ASSERT_EQ(run.exit_code, 0) << run.err;
      EXPECT_LE(static_cast<double>(run.peak_bytes), 1.15 * size + 100e6)
          << generation << ending << " of " << size << " bytes";
    }
  }
}

}  // namespace
}  // namespace linnet
