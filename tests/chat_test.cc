// linnet chat through a pipe: what goes to stdout, and what the commands do.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

const std::string kModel = "../shared/data/models/tiny-v5.2.pth";

class ChatTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists("../shared/data")) GTEST_SKIP() << "../shared/data is absent";
  }

  static Outcome Chat(std::string_view lines, const Arguments& more = {}) {
    Arguments all = {"chat", kModel, "--seed", "1", "--max-tokens", "60"};
    all.insert(all.end(), more.begin(), more.end());
    return RunLinnet(all, lines);
  }

  // One reply a line.
  static std::vector<json> Replies(std::string_view lines, const Arguments& more = {}) {
    Arguments all = more;
    all.push_back("--json");
    const Outcome outcome = Chat(lines, all);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    std::vector<json> replies;
    std::istringstream out(outcome.out);
    for (std::string line; std::getline(out, line);) replies.push_back(json::parse(line));
    return replies;
  }
};

TEST_F(ChatTest, OnlyRepliesGoToStdout) {
  const Outcome outcome = Chat("Name three colours.\n/help\n/set\n/undo\n/nonsense\n\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, Chat("Name three colours.").out);
  EXPECT_GT(outcome.out.size(), 3u);
  for (const char* part : {"tiny-v5.2.pth", "RWKV-5.2", "alpaca-json", "/retry", "temperature",
                           "taken back", "/nonsense"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part;
  }
}

TEST_F(ChatTest, TheModelAnswersInEnglishLikeWords) {
  // Letters and blanks for the most part, and words of a usual length.
  const std::string text = Chat("What is a river?\nTell me about plants.\nName a fruit.\n").out;
  ASSERT_GT(text.size(), 40u);
  const auto count = [&](auto in) { return std::count_if(text.begin(), text.end(), in); };
  const auto letters = count([](unsigned char c) { return std::isalpha(c) != 0; });
  const auto blanks = count([](unsigned char c) { return std::isspace(c) != 0; });
  EXPECT_GT(static_cast<double>(letters + blanks), 0.9 * static_cast<double>(text.size())) << text;
  EXPECT_GT(letters, 2 * blanks) << text;
  EXPECT_LT(letters, 10 * blanks) << text;
}

TEST_F(ChatTest, QuitEndsIt) {
  EXPECT_EQ(Chat("/quit\nName three colours.\n").out, "");
  EXPECT_EQ(Chat("").exit_code, 0);
}

TEST_F(ChatTest, ARetryRunsNoPromptAgain) {
  const auto replies = Replies("Name three colours.\n/retry\n");
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_GT(replies[0].at("prompt_tokens"), 0);
  EXPECT_EQ(replies[1].at("prompt_tokens"), 0);
  EXPECT_NE(replies[1].at("text"), replies[0].at("text"));
}

TEST_F(ChatTest, AfterUndoOrResetTheTalkIsAsBefore) {
  const Arguments greedy = {"--temperature", "0"};
  const auto plain = Replies("Hello there.\nName a fruit.\n", greedy);
  ASSERT_EQ(plain.size(), 2u);
  const auto undone = Replies("Hello there.\nTell me a lie.\n/undo\nName a fruit.\n", greedy);
  ASSERT_EQ(undone.size(), 3u);
  EXPECT_EQ(undone[2].at("text"), plain[1].at("text"));
  const auto reset = Replies("Tell me a lie.\n/reset\nHello there.\nName a fruit.\n", greedy);
  ASSERT_EQ(reset.size(), 3u);
  EXPECT_EQ(reset[1].at("text"), plain[0].at("text"));
  EXPECT_EQ(reset[2].at("text"), plain[1].at("text"));
}

TEST_F(ChatTest, ASavedTalkGoesOn) {
  const ScratchFolder scratch;
  const std::string file = scratch / "talk state";
  const Arguments greedy = {"--temperature", "0"};
  const auto whole = Replies("Hello there.\n/save " + file + "\nName a fruit.\n", greedy);
  ASSERT_EQ(whole.size(), 2u);
  const auto loaded = Replies("/load " + file + "\nName a fruit.\n", greedy);
  ASSERT_EQ(loaded.size(), 1u);
  EXPECT_EQ(loaded[0].at("text"), whole[1].at("text"));
  const auto started = Replies("Name a fruit.\n", {"--temperature", "0", "--state", file});
  EXPECT_EQ(started[0].at("text"), whole[1].at("text"));
}

TEST_F(ChatTest, SettingsCount) {
  const auto replies = Replies("Hello.\n/set max-tokens 5\n/set top_p 0.9\nHello.\n");
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_GT(replies[0].at("tokens"), 5);
  EXPECT_EQ(replies[1].at("tokens"), 5);
  EXPECT_EQ(replies[1].at("finish_reason"), "length");
  const Outcome bad = Chat("/set top-p 7\n/set max-tokens x\n/set nothing 1\n/set think loudly\n");
  EXPECT_EQ(std::count(bad.err.begin(), bad.err.end(), '\n'), 5) << bad.err;  // with the banner
}

TEST_F(ChatTest, ALineThatEndsInABackslashGoesOn) {
  const Arguments greedy = {"--temperature", "0", "--template", "world"};
  const auto lines = Replies("Name\\\na fruit.\n", greedy);
  const auto two = Replies("Name\na fruit.\n", greedy);
  ASSERT_EQ(lines.size(), 1u);
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(lines[0].at("prompt_tokens"), std::string("User: Name\na fruit.\n\nAssistant:").size());
}

TEST_F(ChatTest, TroubleIsOneLineAndTheTalkGoesOn) {
  const Outcome outcome = Chat("/load /no/such/file\n/save\n/retry\nHello.\n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_NE(outcome.err.find("/no/such/file"), std::string::npos);
  EXPECT_GT(outcome.out.size(), 1u);
}

TEST_F(ChatTest, RepliesThatCannotBeWrittenEndIt) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no device that is always full";
  for (const char* form : {"", "--json"}) {
    const Outcome outcome =
        RunProgram("/bin/sh",
                   {"-c", "exec \"$0\" chat \"$1\" --max-tokens 5 $2 > /dev/full", LINNET_PROGRAM,
                    kModel, form},
                   "hello\nhello\n");
    EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
    EXPECT_NE(outcome.err.find("stdout: cannot be written to"), std::string::npos) << outcome.err;
  }
}

// Whoever runs a program may have closed its stderr, or filled the disk it goes to.
TEST_F(ChatTest, TroubleThatCannotBeSaidIsStillAnExitCode) {
  const auto code = [](const std::string& line) {
    return RunProgram("/bin/bash", {"-c", line, LINNET_PROGRAM}).exit_code;
  };
  for (const std::string where : {"2>&-", "2>/dev/full", "0<&- 1>&- 2>&-"}) {
    EXPECT_EQ(code("exec \"$0\" inspect /no/such/file " + where), 1) << where;
  }
  // Into pipes that nobody reads any more.
  const std::string unread = "exec 3> >(true); wait $!; exec \"$0\" inspect ";
  EXPECT_EQ(code(unread + "/no/such/file 2>&3"), 1);
  EXPECT_EQ(code(unread + kModel + " >&3"), -SIGPIPE);
}

bool InAReply(const std::string& out) { return !out.empty(); }

TEST_F(ChatTest, WhatEndsProgramsEndsATalkInAReply) {
  const Outcome outcome =
      SignalLinnet({"chat", kModel, "--max-tokens", "100000000", "--logit-bias", "34:-inf"},
                   InAReply, SIGTERM, "Tell me everything.\nAnd more.\n");
  EXPECT_EQ(outcome.exit_code, 130) << outcome.err;
}

TEST_F(ChatTest, WrongUsageExitsTwoAndAMissingModelOne) {
  EXPECT_EQ(Chat("", {"--template", "nobody"}).exit_code, 2);
  EXPECT_EQ(Chat("", {"--think", "loudly"}).exit_code, 2);
  EXPECT_EQ(Chat("", {"--top-k", "x"}).exit_code, 2);
  const Outcome missing = RunLinnet({"chat", "/no/such/model.pth"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_EQ(std::count(missing.err.begin(), missing.err.end(), '\n'), 1) << missing.err;
}

TEST_F(ChatTest, CtrlCStopsAReply) {
  const Outcome outcome =
      SignalLinnet({"chat", kModel, "--max-tokens", "100000000", "--logit-bias", "34:-inf"},
                   InAReply, SIGINT, "Tell me everything.\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;  // the input has ended, so the talk has
  EXPECT_NE(outcome.err.find("stopped"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out, "");
}

}  // namespace
}  // namespace linnet
