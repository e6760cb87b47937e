// The programs of examples/ run, and both languages say the same.
#include <gtest/gtest.h>

#include <filesystem>

#include "program.h"

namespace linnet {
namespace {

TEST(ExamplesTest, BothLanguagesContinueATextAlike) {
  const char* const model = "../shared/data/models/tiny-v5.2.pth";
  if (!std::filesystem::exists("../shared/data")) GTEST_SKIP() << "no ../shared/data";
  const Outcome cc = RunProgram(LINNET_EXAMPLE_CC, {model, "In the morning, she said"});
  const Outcome c = RunProgram(LINNET_EXAMPLE_C, {model, "In the morning, she said"});
  EXPECT_EQ(cc.exit_code, 0) << cc.err;
  EXPECT_EQ(c.exit_code, 0) << c.err;
  EXPECT_GT(cc.out.size(), 10u);
  EXPECT_EQ(cc.out, c.out);
}

TEST(ExamplesTest, SayWhatIsWrongWithAFile) {
  for (const char* program : {LINNET_EXAMPLE_CC, LINNET_EXAMPLE_C}) {
    const Outcome outcome = RunProgram(program, {"no-such-file.pth", "a"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("no-such-file.pth"), std::string::npos) << outcome.err;
  }
}

}  // namespace
}  // namespace linnet
