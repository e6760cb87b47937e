// What shows how far a command is, on terminals of any width.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "models/test_models.h"
#include "program.h"
#include "terminal.h"
#include "text/columns.h"
#include "training.h"

namespace linnet {
namespace {

// The lines that were drawn over each other, without what erases them.
std::vector<std::string> Drawn(const std::string& shown) {
  constexpr std::string_view kErase = "\r\x1b[J";
  std::vector<std::string> lines;
  for (size_t at = shown.find(kErase); at != shown.npos;) {
    at += kErase.size();
    const size_t next = shown.find(kErase, at);
    lines.push_back(shown.substr(at, next == shown.npos ? next : next - at));
    at = next;
  }
  return lines;
}

// What is drawn in so many columns neither wraps nor scrolls.
void ExpectFits(const std::string& shown, size_t columns) {
  const auto lines = Drawn(shown);
  ASSERT_FALSE(lines.empty());
  for (const std::string& line : lines) {
    EXPECT_EQ(line.find('\n'), line.npos) << line;
    EXPECT_LT(Columns(line.substr(0, line.find('\r'))), columns) << line;
  }
}

class TrainInTerminalTest : public TrainCommandTest {
 protected:
  std::string run_ = scratch_ / "run";
  std::string home_ = scratch_ / "home";
};

TEST_F(TrainInTerminalTest, ALineFitsWhateverTheWidth) {
  Words train = NewRun(run_, "100000");
  // It learns hardly anything, so that no spike writes a line of its own.
  std::replace(train.begin(), train.end(), std::string("3e-3:3e-4"), std::string("1e-7"));
  Terminal terminal(train, home_, 80);
  terminal.WaitFor("time: about");
  for (const size_t columns : {80, 90, 20, 7, 200}) {
    terminal.Resize(static_cast<int>(columns));
    terminal.SkipShown();
    terminal.WaitFor("\r\x1b[J");  // may have been drawn before
    terminal.WaitFor("\r\x1b[J");
    const std::string line = "\r\x1b[J" + terminal.WaitFor("\r\x1b[J");
    ExpectFits(line, columns);
    if (columns >= 80) {
      for (const char* part : {"step ", "loss ", " left", "tokens/s"}) {
        EXPECT_NE(line.find(part), line.npos) << line;
      }
    }
  }
  terminal.Type("\x03");
  terminal.WaitFor("\ninterrupted after step ");
  EXPECT_EQ(terminal.Wait(), 130);
}

TEST(ProgressTest, ALongPathIsShortenedInItsMiddle) {
  const ScratchFolder scratch;
  const std::string folder = scratch / "a folder whose name is so long that no terminal shows it";
  std::filesystem::create_directory(folder);
  const std::string text = folder + "/\xE6\xA8\xA1\xE5\x9E\x8B of a novel.txt";
  WriteFile(text, std::string(100'000'000, 'x'));
  Terminal terminal({"perplexity", test::ByteModel("v5.2"), text}, scratch / "home");
  terminal.WaitFor("\r\x1b[J");
  for (const size_t columns : {80, 40, 20}) {
    terminal.Resize(static_cast<int>(columns));
    terminal.SkipShown();
    terminal.WaitFor("\r\x1b[J");
    const std::string line = "\r\x1b[J" + terminal.WaitFor("\r\x1b[J");
    ExpectFits(line, columns);
    EXPECT_NE(line.find("..."), line.npos) << line;
    EXPECT_NE(line.find("txt"), line.npos) << line;
    EXPECT_NE(line.find(" %"), line.npos) << line;
    if (columns == 80) {
      EXPECT_NE(line.find("novel.txt ["), line.npos) << line;
    }
  }
  terminal.Type("\x03");
  EXPECT_EQ(terminal.Wait(), 130);
  EXPECT_TRUE(terminal.shown().ends_with("\r\x1b[J")) << "the line is erased";
}

}  // namespace
}  // namespace linnet
