// The contract of every command: exit codes, and what goes to stdout and stderr.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

// Every byte as its value plus one, as in the World vocabulary, and one pair.
std::string Vocabulary() {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += fmt::format("{} b'\\x{:02x}' 1\n", byte + 1, byte);
  return text + "257 'ab' 2\n";
}

std::vector<std::string> Commands() {
  // The lines of "Subcommands:" in --help, two blanks and a name.
  const std::string help = RunLinnet({"--help"}).out;
  std::vector<std::string> names;
  size_t at = help.find("Subcommands:");
  while (at != std::string::npos && (at = help.find("\n  ", at)) != std::string::npos) {
    const std::string name = help.substr(at + 3, help.find(' ', at + 3) - at - 3);
    if (!name.empty()) names.push_back(name);
    ++at;
  }
  return names;
}

TEST(CommandLine, VersionAndHelpGoToStdout) {
  for (const char* flag : {"--version", "--help"}) {
    const Outcome outcome = RunLinnet({flag});
    EXPECT_EQ(outcome.exit_code, 0) << flag;
    EXPECT_NE(outcome.out.find("linnet"), std::string::npos) << flag;
    EXPECT_EQ(outcome.err, "") << flag;
  }
}

TEST(CommandLine, EveryCommandHelpsWithAnExampleOfItself) {
  const std::vector<std::string> commands = Commands();
  EXPECT_NE(std::find(commands.begin(), commands.end(), "tokenize"), commands.end());
  for (const std::string& command : commands) {
    const Outcome outcome = RunLinnet({command, "--help"});
    EXPECT_EQ(outcome.exit_code, 0) << command;
    const size_t example = outcome.out.find("Example:\n");
    ASSERT_NE(example, std::string::npos) << command;
    EXPECT_NE(outcome.out.find("linnet " + command, example), std::string::npos) << command;
    for (const char* option : {"--threads", "--json", "--exact", "--isa", "--vocab", "--force"}) {
      EXPECT_NE(outcome.out.find(option), std::string::npos) << command << " " << option;
    }
  }
}

TEST(CommandLine, WrongUsageExitsTwoAndPrintsNothing) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"no-such-command"},
      {"--no-such-option"},
      {"tokenize"},
      {"tokenize", "--no-such-option"},
      {"tokenize", "--vocab"},
      {"tokenize", "--vocab", "f", "--threads", "0"},
      {"tokenize", "--vocab", "f", "--threads", "many"},
      {"tokenize", "--vocab", "f", "--isa", "mmx"},
  };
  for (const auto& arguments : wrong) {
    const Outcome outcome = RunLinnet(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(arguments);
    EXPECT_NE(outcome.err, "") << testing::PrintToString(arguments);
  }
}

TEST(CommandLine, AWordThatIsNoCommandIsNamedWithTheNearest) {
  const auto err = [](const Words& words) { return RunLinnet(words).err; };
  const std::string nonsense = err({"nonsense"});
  EXPECT_NE(nonsense.find("'nonsense' is no command"), std::string::npos) << nonsense;
  EXPECT_EQ(nonsense.find("did you mean"), std::string::npos) << nonsense;
  EXPECT_NE(err({"generat", "--prompt", "a"}).find("did you mean generate?"), std::string::npos);
  EXPECT_NE(err({"vocab", "trian", "a.txt"}).find("'trian' is no command; did you mean train?"),
            std::string::npos);
  EXPECT_EQ(RunLinnet({"vocab", "train", "--help"}).exit_code, 0);
}

TEST(CommandLine, CountsBelowNothingAreWrongUsage) {
  const std::vector<Words> wrong = {
      {"quantize", "a.pth", "b.safetensors", "--type", "int8", "--layers", "-5"},
      {"quantize", "a.pth", "b.safetensors", "--type", "int8", "--layers=-5"},
      {"init", "--generation", "7", "--layers", "-1", "--width", "64", "b.safetensors"},
      {"train", "--data", "d", "--out", "r", "--steps", "-1"}};
  for (const Words& words : wrong) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(words);
    EXPECT_NE(outcome.err.find("is negative"), std::string::npos) << outcome.err;
  }
}

TEST(CommandLine, BadInputExitsOneWithOneLineThatNamesTheFile) {
  for (const char* name : {"/no/such/file", "no\nsuch\nfile"}) {
    const Outcome outcome = RunLinnet({"tokenize", "--vocab", name}, "a");
    EXPECT_EQ(outcome.exit_code, 1);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("such"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

TEST(Tokenize, GivesIdsAndTakesThemBack) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt";
  WriteFile(vocab, Vocabulary());
  const Outcome ids = RunLinnet({"tokenize", "--vocab", vocab}, "ab ba\n");
  EXPECT_EQ(ids.exit_code, 0) << ids.err;
  EXPECT_EQ(ids.out, "257,33,99,98,11\n");
  const Outcome text = RunLinnet({"tokenize", "--vocab", vocab, "--decode"}, ids.out);
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out, "ab ba\n");
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab, "--json"}, "ab").out, "{\"ids\":[257]}\n");
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab}, "").out, "\n");
}

TEST(Tokenize, WritesOneLineForEachLineRead) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt";
  WriteFile(vocab, Vocabulary());
  const Outcome ids =
      RunLinnet({"tokenize", "--vocab", vocab, "--jsonl"}, "{\"text\":\"ab\\n\"}\n{\"text\":\"\"}");
  EXPECT_EQ(ids.exit_code, 0) << ids.err;
  EXPECT_EQ(ids.out, "{\"ids\":[257,11]}\n{\"ids\":[]}\n");
  const Outcome text =
      RunLinnet({"tokenize", "--vocab", vocab, "--jsonl", "--decode"}, "{\"ids\":[257,229,98]}\n");
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_EQ(text.out,
            "{\"text\":\"ab\xEF\xBF\xBD"
            "a\"}\n");
}

TEST(Tokenize, SaysWhatIsWrongWithALineOfJson) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt";
  WriteFile(vocab, Vocabulary());
  const Outcome half = RunLinnet({"tokenize", "--vocab", vocab, "--jsonl"},
                                 "{\"text\":\"a\"}\n{\"text\":\"b\\ud83d\"}\n");
  EXPECT_EQ(half.exit_code, 1);
  EXPECT_EQ(half.out, "{\"ids\":[98]}\n");
  EXPECT_NE(half.err.find("stdin:2: "), std::string::npos) << half.err;
  EXPECT_NE(half.err.find("surrogate U+D800..U+DBFF must be followed"), std::string::npos)
      << half.err;
}

TEST(Tokenize, TakesNoEmptyIds) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt";
  WriteFile(vocab, Vocabulary());
  for (const char* ids : {"98,,99", "98,", ",98", "98, ,99", ","}) {
    const Outcome outcome = RunLinnet({"tokenize", "--vocab", vocab, "--decode"}, ids);
    EXPECT_EQ(outcome.exit_code, 1) << ids;
    EXPECT_NE(outcome.err.find("stdin: "), std::string::npos) << outcome.err;
  }
  for (const char* ids : {"98,99\n", "98 99", " 98 , 99 \n"}) {
    EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab, "--decode"}, ids).out, "ab") << ids;
  }
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab, "--decode"}, "\n").out, "");
}

TEST(Tokenize, NamesTheLineThatIsWrong) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt";
  WriteFile(vocab, Vocabulary());
  for (const char* line : {"{\"ids\":[258]}", "{\"ids\":[-1]}", "{\"ids\":[1.5]}", "{\"ids\":1}",
                           "{\"ids\":[18446744073709551615]}", "[1]", "{", ""}) {
    const Outcome outcome = RunLinnet({"tokenize", "--vocab", vocab, "--jsonl", "--decode"},
                                      std::string("{\"ids\":[98]}\n") + line + "\n");
    EXPECT_EQ(outcome.exit_code, 1) << line;
    EXPECT_EQ(outcome.out, "{\"text\":\"a\"}\n") << line;
    EXPECT_NE(outcome.err.find("stdin:2: "), std::string::npos) << line << ": " << outcome.err;
  }
}

}  // namespace
}  // namespace linnet
