// The programs of examples/ run, and both languages say the same.
#include <gtest/gtest.h>

#include <string>

#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

TEST(ExamplesTest, BothLanguagesContinueATextAlike) {
  const std::string model = test::LetterModel("v5.2");
  const Outcome cc = RunProgram(LINNET_EXAMPLE_CC, {model, "In the morning, she said"});
  const Outcome c = RunProgram(LINNET_EXAMPLE_C, {model, "In the morning, she said"});
  EXPECT_EQ(cc.exit_code, 0) << cc.err;
  EXPECT_EQ(c.exit_code, 0) << c.err;
  EXPECT_GT(cc.out.size(), 10u);
  EXPECT_EQ(cc.out, c.out);
}

TEST(ExamplesTest, TrainGoesOnWithAModel) {
  const std::string model = test::ByteModel("v5.2");
  const ScratchFolder scratch;
  std::string text;
  for (int i = 0; i < 40; ++i) text += "The linnet sang, and the owl said that it was late. ";
  WriteFile(scratch / "text.txt", text);
  const Outcome trained =
      RunProgram(LINNET_EXAMPLE_TRAIN, {model, scratch / "text.txt", scratch / "out.pth"});
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  const auto loss = [&](const std::string& step) {
    return std::stod(trained.out.substr(trained.out.find(step) + step.size()));
  };
  EXPECT_LT(loss("step 10: loss "), loss("step 1: loss ")) << trained.out;
  EXPECT_EQ(RunProgram(LINNET_EXAMPLE_CC, {scratch / "out.pth", "The linnet"}).exit_code, 0);
}

TEST(ExamplesTest, SayWhatIsWrongWithAFile) {
  for (const char* program : {LINNET_EXAMPLE_CC, LINNET_EXAMPLE_C}) {
    const Outcome outcome = RunProgram(program, {"no-such-file.pth", "a"});
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_NE(outcome.err.find("no-such-file.pth"), std::string::npos) << outcome.err;
  }
  const Outcome trained = RunProgram(LINNET_EXAMPLE_TRAIN, {"no-such-file.pth", "a", "b"});
  EXPECT_EQ(trained.exit_code, 1);
  EXPECT_NE(trained.err.find("no-such-file.pth"), std::string::npos) << trained.err;
}

}  // namespace
}  // namespace linnet
