// linnet chat through a pipe: what goes to stdout, and what the commands do.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "models/test_models.h"
#include "program.h"

namespace linnet {
namespace {

using nlohmann::json;
using Arguments = std::vector<std::string>;

std::string ModelFile() { return test::LetterModel("v5.2"); }

class ChatTest : public testing::Test {
 protected:
  static Outcome Chat(std::string_view lines, const Arguments& more = {}) {
    Arguments all = {"chat", ModelFile(), "--seed", "1", "--max-tokens", "60"};
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
  for (const char* part : {"letters-v5.2.pth", "RWKV-5.2", "alpaca-json", "/retry", "temperature",
                           "taken back", "/nonsense"}) {
    EXPECT_NE(outcome.err.find(part), std::string::npos) << part;
  }
}

TEST_F(ChatTest, TheModelAnswersInEnglishLikeWords) {
  // Letters and blanks for the most part, and words of a usual length.
  const std::string trained = "../shared/data/models/tiny-v5.2.pth";
  if (!std::filesystem::exists(trained)) GTEST_SKIP() << trained << " is absent";
  const std::string text = RunLinnet({"chat", trained, "--seed", "1", "--max-tokens", "60"},
                                     "What is a river?\nTell me about plants.\nName a fruit.\n")
                               .out;
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

TEST_F(ChatTest, HelpFitsATerminal) {
  std::istringstream lines(Chat("/help\n").err);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("RWKV-5.2") == line.npos) {
      EXPECT_LE(line.size(), 80u) << line;
    }
  }
}

TEST_F(ChatTest, SeveralLinesBetweenQuotesAreOneMessage) {
  const Arguments options = {"--temperature", "0", "--template", "world"};
  const auto length = [](const std::string& text) {
    return "User: " + text + "\n\nAssistant:";  // tokens are bytes
  };
  for (const std::string lines :
       {"\"\"\"Name\\\na fruit.\"\"\"\n", "\"\"\"\nName\\\na fruit.\n\"\"\"\n",
        "\"\"\"\nName\\\na fruit."}) {
    const auto replies = Replies(lines, options);
    ASSERT_EQ(replies.size(), 1u) << lines;
    EXPECT_EQ(replies[0].at("prompt_tokens"), length("Name\\\na fruit.").size()) << lines;
  }
  const auto commands = Replies("\"\"\"/undo\"\"\"\n\"\"\"\n/reset\n\"\"\"\n", options);
  ASSERT_EQ(commands.size(), 2u);
  EXPECT_EQ(commands[0].at("prompt_tokens"), length("/undo").size());
}

TEST_F(ChatTest, SetShowsConfirmsAndClears) {
  const auto said = [](const std::string& lines) {
    const std::string err = Chat(lines).err;
    return err.substr(err.find('\n') + 1);  // without the banner
  };
  EXPECT_EQ(said("/set top_p 0.25\n/set top-p\n"), "top-p 0.25\ntop-p 0.25\n");
  EXPECT_EQ(said("/set logit-bias 65:-inf\n/set logit-bias 66:1\n/set logit-bias none\n"),
            "logit-bias 65:-inf\nlogit-bias 65:-inf 66:1\nlogit-bias none\n");
  EXPECT_EQ(said("/set stop END\n/set stop \\nUser:\n/set stop none\n"),
            "stop \"END\"\nstop \"END\" \"\\nUser:\"\nstop none\n");
  EXPECT_EQ(said("/set template\n/set template world\n/set think lot\n/set max-tokens 7\n"),
            "template alpaca-json (auto)\ntemplate world\nthink lot\nmax-tokens 7\n");
  const std::string all = said("/set\n");
  for (const char* key : {"temperature 1\n", "seed 1\n", "template alpaca-json (auto)\n",
                          "think auto\n", "max-tokens 60\n", "stop none\n", "logit-bias none\n"}) {
    EXPECT_NE(all.find(key), all.npos) << key << all;
  }
  // What the template does not know is refused, and nothing has changed.
  const std::string refused = said(
      "/set think lot\n/set template world\n/set think lot\n"
      "/set template raven\n/set template\n/set nothing\n");
  EXPECT_TRUE(refused.ends_with("/set lists them\n")) << refused;
  EXPECT_NE(refused.find("\ntemplate world\nno setting"), refused.npos) << refused;
}

TEST_F(ChatTest, SettingsReachTheNextReply) {
  const auto replies = Replies(
      "/set template world\nHello.\n/set stop a\nTell me about plants.\n/set stop none\n"
      "/set logit-bias 32:100\nHello.\n/set logit-bias none\n/retry\n",
      {"--temperature", "0"});
  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(replies[0].at("prompt_tokens"), std::string("User: Hello.\n\nAssistant:").size());
  EXPECT_EQ(replies[1].at("text").get<std::string>().find('a'), std::string::npos);
  EXPECT_EQ(replies[2].at("text"), "") << "blanks";
  EXPECT_NE(replies[3].at("text"), "");
}

TEST_F(ChatTest, TheTalkIsWrittenAsMarkdownAndJson) {
  const ScratchFolder scratch;
  const std::string markdown = scratch / "talk.md", file = scratch / "talk.json";
  const auto replies =
      Replies("Hello there.\nTell me a lie.\n/undo\n\"\"\"Name\na fruit.\"\"\"\n/export " +
                  markdown + "\n/export " + file + "\n",
              {"--system", "Be kind.", "--template", "world"});
  ASSERT_EQ(replies.size(), 3u);
  const auto trimmed = [](const json& reply) {
    const std::string text = reply.at("text");
    return text.substr(0, text.find_last_not_of(" \n") + 1);
  };
  const std::string first = trimmed(replies[0]), second = trimmed(replies[2]);
  EXPECT_EQ(ReadFile(markdown),
            "# A talk with letters-v5.2.pth\n\n## System\n\nBe kind.\n\n## User\n\nHello there.\n\n"
            "## Assistant\n\n" +
                first + "\n\n## User\n\nName\na fruit.\n\n## Assistant\n\n" + second + "\n");
  const json talk = json::parse(ReadFile(file));
  EXPECT_EQ(talk.at("version"), 1);
  EXPECT_EQ(talk.at("model"), "letters-v5.2.pth");
  const json expected = {{{"role", "system"}, {"content", "Be kind."}},
                         {{"role", "user"}, {"content", "Hello there."}},
                         {{"role", "assistant"}, {"content", first}},
                         {{"role", "user"}, {"content", "Name\na fruit."}},
                         {{"role", "assistant"}, {"content", second}}};
  EXPECT_EQ(talk.at("messages"), expected);
}

TEST_F(ChatTest, AnExportReplacesNothingUnasked) {
  const ScratchFolder scratch;
  const std::string file = scratch / "talk.md";
  WriteFile(file, "notes");
  const Outcome refused = Chat("Hello.\n/export " + file + "\n/export talk.txt\n");
  EXPECT_EQ(ReadFile(file), "notes");
  EXPECT_NE(refused.err.find(file + ": exists and holds text, not an exported talk"),
            std::string::npos)
      << refused.err;
  EXPECT_NE(refused.err.find("talk.txt: ends in neither .md"), std::string::npos) << refused.err;
  Chat("Hello.\n/export! " + file + "\n");
  const std::string first = ReadFile(file);
  Chat("Name a fruit.\n/export " + file + "\n");
  EXPECT_NE(ReadFile(file), first) << "an older export may be replaced";
  EXPECT_TRUE(ReadFile(file).starts_with("# A talk with")) << ReadFile(file);
  // Never a file that is read.
  const std::string state = scratch / "state.md";
  Chat("Hello.\n/save " + state + "\n");
  const std::string bytes = ReadFile(state);
  ASSERT_FALSE(bytes.empty());
  Chat("/load " + state + "\nHello.\n/export! " + state + "\n");
  EXPECT_EQ(ReadFile(state), bytes);
}

TEST_F(ChatTest, FileNamesMayBeginWithTheHomeFolder) {
  const ScratchFolder scratch;
  const std::string home = scratch / "home";
  std::filesystem::create_directory(home);
  const Outcome outcome = RunProgram("/bin/sh",
                                     {"-c", "HOME=\"$2\" exec \"$0\" chat \"$1\" --max-tokens 5",
                                      LINNET_PROGRAM, ModelFile(), home},
                                     "Hello.\n/save ~/state\n/load ~/state\n/export ~/talk.md\n");
  EXPECT_TRUE(std::filesystem::exists(home + "/state")) << outcome.err;
  EXPECT_TRUE(std::filesystem::exists(home + "/talk.md")) << outcome.err;
  EXPECT_NE(outcome.err.find("(goes on from " + home + "/state"), std::string::npos) << outcome.err;
  EXPECT_FALSE(std::filesystem::exists(home + "/.local")) << "history is for keyboards";
}

TEST_F(ChatTest, ALoadCanBeTakenBack) {
  const ScratchFolder scratch;
  const std::string file = scratch / "state";
  Chat("Tell me a lie.\n/save " + file + "\n");
  const Arguments greedy = {"--temperature", "0"};
  const auto plain = Replies("Hello there.\nName a fruit.\n", greedy);
  const auto undone = Replies("Hello there.\n/load " + file +
                                  "\nWhy?\n/undo\n/undo\nName a fruit.\n"
                                  "/undo\n/reset\n/undo\nName a fruit.\n",
                              greedy);
  ASSERT_EQ(undone.size(), 4u);
  EXPECT_EQ(undone[2].at("text"), plain.at(1).at("text"));
  EXPECT_EQ(undone[3].at("text"), plain.at(1).at("text"));
  const Outcome outcome = Chat("Hello there.\n/load " + file + "\n/retry\n");
  EXPECT_NE(outcome.err.find("nothing to retry"), std::string::npos) << outcome.err;
}

TEST_F(ChatTest, TokensAreCountedAgainstTheTrainedLength) {
  const ScratchFolder scratch;
  const std::string named = scratch / "tiny-ctx4k.pth", other = scratch / "tiny-ctxt12.pth";
  std::filesystem::copy_file(ModelFile(), named);
  std::filesystem::copy_file(ModelFile(), other);
  const auto tokens = [](const std::string& model, const std::string& lines) {
    const std::string err =
        RunLinnet({"chat", model, "--max-tokens", "5", "--template", "world"}, lines).err;
    return err.substr(err.find("last reply"));
  };
  const std::string some = tokens(named, "/set stop none\nHello.\n/tokens\n");
  EXPECT_NE(some.find("last reply: 24 tokens read, 5 written, "), some.npos) << some;
  EXPECT_NE(some.find("\nthis talk: replies 1, 24 tokens read, 5 written\n"), some.npos) << some;
  EXPECT_NE(some.find("\nposition: 31 tokens, of 4096 that the model was trained at (1 %)\n"),
            some.npos)
      << some;
  EXPECT_NE(tokens(other, "/tokens\n").find("of an unknown length"), std::string::npos);
  WriteFile(scratch / "run.json", R"({"options": {"--ctx": ["64"]}})");
  EXPECT_NE(tokens(other, "Hello.\n/reset\nHello.\n/tokens\n").find("31 tokens, of 64 that"),
            std::string::npos);
}

// Of models with attention alone.
TEST_F(ChatTest, TokensTellWhatATokenCosts) {
  const auto tokens = [](const std::string& model, const Arguments& more) {
    Arguments all = {"chat", model, "--max-tokens", "5", "--template", "world"};
    all.insert(all.end(), more.begin(), more.end());
    return RunLinnet(all, "/set stop none\nHello.\n/tokens\n").err;
  };
  EXPECT_EQ(tokens(ModelFile(), {}).find("memory: "), std::string::npos);
  const std::string model = test::LetterModel("7b");
  // 3 layers of 64 kept floats and 384 finished halves, and the id: 3076 bytes. The two line ends
  // behind the reply are read with the next message.
  const std::string some = tokens(model, {"--row-limit", "1MB"});
  EXPECT_NE(some.find("\nmemory: 3.1 KB a token for attention, 0.1 MB for 29 tokens, at most 325 "
                      "tokens (--row-limit)\n"),
            std::string::npos)
      << some;
  EXPECT_NE(tokens(model, {"--rows", "compact"}).find("memory: 0.8 KB a token"), std::string::npos);
  const std::string none = tokens(model, {"--row-limit", "60KB"});
  EXPECT_NE(none.find("more than the limit of 0.06 MB for a state; allow more with --row-limit"),
            std::string::npos)
      << none;
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
                    ModelFile(), form},
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
  EXPECT_EQ(code(unread + ModelFile() + " >&3"), -SIGPIPE);
}

bool InAReply(const std::string& out) { return !out.empty(); }

TEST_F(ChatTest, WhatEndsProgramsEndsATalkInAReply) {
  const Outcome outcome =
      SignalLinnet({"chat", ModelFile(), "--max-tokens", "100000000", "--logit-bias", "34:-inf"},
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
      SignalLinnet({"chat", ModelFile(), "--max-tokens", "100000000", "--logit-bias", "34:-inf"},
                   InAReply, SIGINT, "Tell me everything.\n");
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;  // the input has ended, so the talk has
  EXPECT_NE(outcome.err.find("stopped"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.out, "");
}

}  // namespace
}  // namespace linnet
