// linnet chat at a keyboard: keys typed into a terminal, and what it shows.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "models/test_models.h"
#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

std::string ModelFile() { return test::LetterModel("v5.2"); }
const std::string kPrompt = "\x1b[?2004h> ";  // pastes are marked
const std::string kPasteStart = "\x1b[200~", kPasteEnd = "\x1b[201~";
constexpr const char* kHint = "(Ctrl-C again, Ctrl-D or /quit to leave)";

class ChatTerminalTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directory(home_); }

  Words Chat(const Words& more = {}) const {
    return Words{"chat", ModelFile(), "--seed", "1", "--max-tokens", "5", "--template", "world"} +
           more;
  }
  // Never ends by itself.
  Words EndlessChat() const {
    return {"chat",       ModelFile(),     "--max-tokens", "100000000",
            "--template", "world-classic", "--logit-bias", "10:-inf"};
  }

  // What the talk holds, by /export.
  nlohmann::json Messages(Terminal& terminal) const {
    const std::string file = home_ + "/talk.json";
    terminal.Type("/export! " + file + "\r");
    terminal.WaitFor("(wrote");
    terminal.WaitFor(kPrompt);
    return nlohmann::json::parse(ReadFile(file)).at("messages");
  }

  ScratchFolder scratch_;
  std::string home_ = scratch_ / "home";
};

TEST_F(ChatTerminalTest, CtrlCClearsTheLine) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type("some words");
  terminal.WaitFor("some words");
  terminal.Type("\x03");
  terminal.WaitFor("^C");
  const std::string until = terminal.WaitFor(kPrompt);
  EXPECT_EQ(until.find(kHint), until.npos) << until;
  terminal.Type("Hello.\r");
  terminal.WaitFor("(cut at 5 tokens");
  terminal.WaitFor(kPrompt);
  const auto messages = Messages(terminal);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(messages[0].at("content"), "Hello.");
  terminal.Type("\x04");
  EXPECT_EQ(terminal.Wait(), 0);
}

TEST_F(ChatTerminalTest, CtrlCOnAnEmptyLineSaysHowToLeaveAndTheSecondLeaves) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type("\x03");
  terminal.WaitFor(kHint);
  terminal.WaitFor(kPrompt);
  // Something else in between: the next is a first one again.
  terminal.Type("x\x03");
  terminal.WaitFor("^C");
  terminal.WaitFor(kPrompt);
  terminal.Type("\x03\x03");
  terminal.WaitFor(kHint);
  EXPECT_EQ(terminal.Wait(), 130);
  EXPECT_TRUE(terminal.shown().find("\x1b[?2004l", terminal.shown().rfind(kPrompt)) !=
              std::string::npos)
      << "the terminal marks no more pastes";
}

TEST_F(ChatTerminalTest, ASignalCountsAsTheKey) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Signal(SIGINT);
  terminal.WaitFor(kHint);
  terminal.WaitFor(kPrompt);
  terminal.Signal(SIGTERM);
  EXPECT_EQ(terminal.Wait(), 130);
}

// The first ends the reply; the second comes while it ends, or just after.
TEST_F(ChatTerminalTest, CtrlCTwiceInAReplyLosesNothing) {
  Terminal terminal(EndlessChat(), home_);
  terminal.WaitFor(kPrompt);
  for (int i = 0; i < 5; ++i) {
    terminal.Type("Tell me everything.\r");
    terminal.WaitFor("everything.");
    terminal.WaitFor("\x1b[?2004l");
    terminal.WaitFor(" ");  // it has begun
    terminal.Signal(SIGINT);
    terminal.Signal(SIGINT);
    terminal.WaitFor("(stopped)");
    terminal.WaitFor(kPrompt);  // from here on Ctrl-C is a key, which drops nothing that was shown
    const std::string mark = "mark" + std::to_string(i);
    terminal.Type(mark + "\x03");
    terminal.WaitFor(mark);
    terminal.WaitFor("^C");
    terminal.WaitFor(kPrompt);
  }
  terminal.Type("/tokens\r");
  terminal.WaitFor("this talk: replies 5");
}

TEST_F(ChatTerminalTest, APasteOfSeveralLinesIsOneMessage) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  // Terminals send line ends as \r. The escape inside is no key.
  terminal.Type(kPasteStart + "/one\r\xE4\xBA\x8C\x1b[A\r\rthree\r" + kPasteEnd);
  terminal.WaitFor("three");
  terminal.Type(" four\r");
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  terminal.Type("Say " + kPasteStart + "this" + kPasteEnd + ".\r");
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  const auto messages = Messages(terminal);
  ASSERT_EQ(messages.size(), 4u) << messages;
  EXPECT_EQ(messages[0].at("content"), "/one\n\xE4\xBA\x8C[A\n\nthree four");
  EXPECT_EQ(messages[2].at("content"), "Say this.");
}

TEST_F(ChatTerminalTest, APasteMayComeInPieces) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type("\x1b[20");
  terminal.Resize(70);  // wakes it in the middle
  terminal.Type("0~one\r");
  terminal.Resize(60);
  terminal.Type("two\x1b[201");
  terminal.Type("~\r");
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  EXPECT_EQ(Messages(terminal)[0].at("content"), "one\ntwo");
}

TEST_F(ChatTerminalTest, EditingKeysStillWork) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type(
      "bc\x1b[D\x1b[D"
      "a\x05"
      "d\xC3\xA9\x7F\r");  // left, left, end, erase
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  EXPECT_EQ(Messages(terminal)[0].at("content"), "abcd");
}

TEST_F(ChatTerminalTest, QuotesOpenAndCloseAMessage) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type("\"\"\"\r");
  terminal.WaitFor(". ");
  terminal.Type("lost\x03");
  terminal.WaitFor(kPrompt);
  terminal.Type("\"\"\"one\r/two\r\"\"\"\r");
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  EXPECT_EQ(Messages(terminal)[0].at("content"), "one\n/two");
}

TEST_F(ChatTerminalTest, ALineSurvivesANewSize) {
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  terminal.Type("Hello there");
  terminal.WaitFor("Hello there");
  terminal.Resize(20);
  terminal.WaitFor("> Hello there");
  terminal.Type(" and more than one row\r");
  terminal.WaitFor("(cut at");
  terminal.WaitFor(kPrompt);
  EXPECT_EQ(Messages(terminal)[0].at("content"), "Hello there and more than one row");
}

TEST_F(ChatTerminalTest, HistoryIsKeptAcrossTalks) {
  const std::string file = home_ + "/.local/state/linnet/history";
  {
    Terminal terminal(Chat(), home_);
    terminal.WaitFor(kPrompt);
    terminal.Type("\"\"\"/one \\\rtwo\"\"\"\r");
    terminal.WaitFor("(cut at");
    terminal.WaitFor(kPrompt);
    terminal.Type("\x04");
    EXPECT_EQ(terminal.Wait(), 0);
  }
  EXPECT_EQ(ReadFile(file), " /one \\\\\\ntwo\n");
  struct stat status = {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  {
    Terminal terminal(Chat(), home_);
    terminal.WaitFor(kPrompt);
    terminal.Type("\x1b[A\r");  // up
    terminal.WaitFor("(cut at");
    terminal.WaitFor(kPrompt);
    EXPECT_EQ(Messages(terminal)[0].at("content"), "/one \\\ntwo");
  }
  const std::string before = ReadFile(file);
  {
    Terminal terminal(Chat({"--no-history"}), home_);
    terminal.WaitFor(kPrompt);
    terminal.Type(
        "\x1b[A"
        "a secret\r");
    terminal.WaitFor("(cut at");
    terminal.WaitFor(kPrompt);
    EXPECT_EQ(Messages(terminal)[0].at("content"), "a secret");
  }
  EXPECT_EQ(ReadFile(file), before);
}

TEST_F(ChatTerminalTest, HistoryIsBounded) {
  const std::string folder = home_ + "/.local/state/linnet";
  std::filesystem::create_directories(folder);
  std::string lines;
  for (int i = 0; i < 1500; ++i) lines += "line " + std::to_string(i) + "\n";
  WriteFile(folder + "/history", lines);
  Terminal terminal(Chat(), home_);
  terminal.WaitFor(kPrompt);
  const std::string kept = ReadFile(folder + "/history");
  EXPECT_EQ(std::count(kept.begin(), kept.end(), '\n'), 1000);
  EXPECT_TRUE(kept.starts_with("line 500\n")) << kept.substr(0, 20);
}

}  // namespace
}  // namespace linnet
