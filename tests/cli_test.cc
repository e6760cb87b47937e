// The contract of every command: exit codes, and what goes to stdout and stderr.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
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
  }
}

TEST(CommandLine, HelpShowsTheOptionsThatACommandHeedsAndNoOthers) {
  const Words all = {"--threads", "--json", "--exact", "--force", "--isa", "--vocab", "--quant"};
  const std::pair<Words, Words> commands[] = {
      {{"chat"}, all},
      {{"generate"}, all},
      {{"perplexity"}, all},
      {{"eval"}, all},
      {{"train"}, all},
      {{"tokenize"}, {"--json", "--vocab"}},
      {{"logits"}, {"--threads", "--force", "--isa", "--vocab", "--quant"}},
      {{"grad"}, {"--threads", "--isa"}},
      {{"bench"}, {"--threads", "--json", "--exact", "--force", "--isa", "--quant"}},
      {{"init"}, {"--threads", "--json", "--vocab"}},  // of which --vocab is a size
      {{"convert"}, {"--json", "--vocab"}},
      {{"quantize"}, {"--threads", "--json", "--force", "--isa", "--vocab"}},
      {{"merge"}, {"--threads", "--json", "--force", "--isa", "--vocab"}},
      // All but --json are of --identity.
      {{"inspect"}, {"--threads", "--json", "--exact", "--isa", "--vocab", "--quant"}},
      {{"plot"}, {"--json"}},
      {{"state"}, {}},
      {{"state", "info"}, {"--json"}},
      {{"state", "export"}, {"--json"}},
      {{"vocab", "train"}, {"--json"}},
      {{"data", "build"}, {"--json", "--vocab"}},
      {{"data", "check"}, {"--json", "--vocab"}}};
  for (const auto& [command, heeded] : commands) {
    const std::string help = RunLinnet(command + Words{"--help"}).out;
    const std::string options = help.substr(0, help.find("Example:"));
    for (const std::string& option : all) {
      const bool shown = options.find("  " + option + " ") != std::string::npos;
      const bool wanted = std::find(heeded.begin(), heeded.end(), option) != heeded.end();
      EXPECT_EQ(shown, wanted) << command.back() << " " << option;
    }
  }
}

// The contract of the command line names them for every command.
TEST(CommandLine, OptionsOfAllCommandsAreTakenWhereTheyChangeNothing) {
  const ScratchFolder scratch;
  const std::string model = scratch / "m.safetensors";
  ASSERT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab",
                       "256", model})
                .exit_code,
            0);
  const Words all = {"--threads", "1", "--json", "--exact", "--isa", "portable", "--vocab", "x"};
  const Outcome plain = RunLinnet({"inspect", model, "--json"});
  const Outcome outcome = RunLinnet(Words{"inspect", model} + all);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, plain.out);
  EXPECT_EQ(
      RunLinnet({"logits", model, "--tokens", "1", "--out", scratch / "l", "--json"}).exit_code, 0);
  // Before or behind the name of a command of a group.
  const std::string state = scratch / "s.state";
  ASSERT_EQ(
      RunLinnet({"generate", model, "--prompt", "a", "--max-tokens", "1", "--save-state", state})
          .exit_code,
      0);
  const std::string info = RunLinnet({"state", "info", state, "--json"}).out;
  EXPECT_EQ(info.substr(0, 1), "{");
  EXPECT_EQ(RunLinnet({"state", "--json", "info", state}).out, info);
}

TEST(CommandLine, WrongUsageIsOneLineThatNamesWhatIsWrongAndTheHelp) {
  const std::pair<Words, std::string> wrong[] = {
      {{}, "a command is missing, expected one of chat, generate"},
      {{"--bogus"}, "unknown option --bogus (see linnet --help)"},
      {{"--json", "inspect", "f"}, "unknown option --json before the command; options come after"},
      {{"inspect", "--temperature", "1", "f"},
       "unknown option --temperature, which is of chat and generate (see linnet inspect --help)"},
      {{"inspect", "--temperature=1", "f"}, "unknown option --temperature, which is of"},
      {{"inspect", "--temperature"}, "unknown option --temperature"},
      {{"inspect", "f", "--force"}, "unknown option --force"},
      {{"generate", "--temperatur", "1"}, "--temperatur; did you mean --temperature?"},
      {{"init", "--widht", "64", "--layers", "1", "a.pth"}, "--widht; did you mean --width?"},
      {{"data", "build", "a.txt", "--bogus"}, "--bogus (see linnet data build --help)"},
      {{"inspect"}, "FILE is required"},
      {{"state"}, "a command is missing, expected one of info, diff, export, import"},
      {{"inspect", "a", "b"}, "'b' is one argument too many"},
      {{"generate", "--seed", "1", "--seed", "2"}, "--seed: given twice"},
      {{"generate", "--top-p", "1", "--top-p", "1"}, "--top-p: given twice"},
      {{"inspect", "f", "--isa", "avx2", "--isa", "avx2", "--isa", "avx2"}, "--isa: given 3 times"},
      {{"tokenize", "--vocab"}, "--vocab: a value is missing"},
      {{"data", "check", "d", "--samples", "many"}, "--samples: 'many' is not a whole number"},
      {{"inspect", "f", "--threads", "0"}, "--threads: Value 0 not in range 1 to 1024"},
      {{"vocab", "trian"}, "did you mean train? (see linnet vocab --help)"},
      {{"merge", "a", "b", "c.pth", "--scale", "x"}, "--scale: 'x' is not a number"},
      {{"logits", "m", "--tokens", "1", "--out", "l", "--fast", "--exact"}, "not both"},
      {{"grad", "m", "--tokens", "1", "--out", "l", "--quant", "int8"}, "--quant: "},
      {{"data", "build", "a.txt", "--out", "d"}, "data build: give --vocab FILE or --model MODEL"},
      {{"inspect", "--no\nsuch", "f"}, "unknown option --no such"}};
  for (const auto& [words, said] : wrong) {
    const Outcome outcome = RunLinnet(words);
    EXPECT_EQ(outcome.exit_code, 2) << said;
    EXPECT_EQ(outcome.out, "") << said;
    EXPECT_NE(outcome.err.find(said), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.substr(0, 8), "linnet: ") << outcome.err;
    EXPECT_NE(outcome.err.find(" --help)\n"), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
  // A bias is of one token each.
  EXPECT_EQ(RunLinnet({"generate", "no-such-file", "--prompt", "a", "--logit-bias", "1:2",
                       "--logit-bias", "2:2"})
                .exit_code,
            1);
}

TEST(CommandLine, TextsThatCannotBeReadSayWhy) {
  const ScratchFolder scratch;
  const std::string model = scratch / "m.safetensors", empty = scratch / "empty.txt";
  const std::filesystem::path folder = std::filesystem::path(model).parent_path();
  std::filesystem::create_directory(folder / "texts");
  WriteFile(empty, "");
  ASSERT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab",
                       "256", model})
                .exit_code,
            0);
  const std::pair<std::string, std::string> texts[] = {
      {scratch / "none.txt", "none.txt: cannot be read: No such file or directory"},
      {folder / "texts", "texts: is a folder, expected a file of text"},
      {empty, "empty.txt: is empty"},
      {"-", "stdin: is empty"}};
  for (const auto& [text, said] : texts) {
    for (const Words& command :
         {Words{"perplexity", model, text},
          Words{"quantize", model, scratch / "q.safetensors", "--type", "int8", "--report", text},
          Words{"generate", model, "--max-tokens", "1", "--prompt-file", text}}) {
      const bool raw = command[0] == "generate" && said.find("is empty") != std::string::npos;
      const Outcome outcome = RunLinnet(command);
      EXPECT_EQ(outcome.exit_code, raw ? 0 : 1) << command[0] << " " << text;
      if (raw) continue;  // an empty prompt is one
      EXPECT_NE(outcome.err.find(said), std::string::npos) << command[0] << outcome.err;
      EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
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
  EXPECT_NE(nonsense.find("'nonsense' is not a command"), std::string::npos) << nonsense;
  EXPECT_EQ(nonsense.find("did you mean"), std::string::npos) << nonsense;
  EXPECT_NE(err({"generat", "--prompt", "a"}).find("did you mean generate?"), std::string::npos);
  EXPECT_NE(err({"vocab", "trian", "a.txt"}).find("'trian' is not a command; did you mean train?"),
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

TEST(Tokenize, ReadsAFileOrStdin) {
  const ScratchFolder scratch;
  const std::string vocab = scratch / "vocab.txt", text = scratch / "a.txt";
  WriteFile(vocab, Vocabulary());
  WriteFile(text, "ab");
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab, text}, "no").out, "257\n");
  EXPECT_EQ(RunLinnet({"tokenize", "--vocab", vocab, "-"}, "ab").out, "257\n");
  const Outcome bad = RunLinnet({"tokenize", "--vocab", vocab, "--jsonl", text});
  EXPECT_NE(bad.err.find("a.txt:1: not a JSON object"), std::string::npos) << bad.err;
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
