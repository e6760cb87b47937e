// Texts that are typed: one Ctrl-D ends them.
#include <gtest/gtest.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "program.h"
#include "terminal.h"

namespace linnet {
namespace {

constexpr const char* kCtrlD = "\x04";

// Runs `linnet` in a terminal in which `keys` are typed once it has shown `cue`; `out` is all that
// was shown.
Outcome Typed(const Words& words, const std::string& cue, const std::string& keys) {
  const ScratchFolder home;
  Terminal terminal(words, home / "");
  terminal.WaitFor(cue);
  terminal.Type(keys);
  Outcome outcome{};
  outcome.exit_code = terminal.Wait();
  outcome.out = terminal.shown();
  return outcome;
}

class TerminalInputTest : public testing::Test {
 protected:
  TerminalInputTest() {
    std::string bytes;
    for (int i = 0; i < 256; ++i) {
      char line[32];
      std::snprintf(line, sizeof line, "%d b'\\x%02x' 1\n", i + 1, i);
      bytes += line;
    }
    WriteFile(vocab_, bytes);
    EXPECT_EQ(RunLinnet({"init", "--generation", "7", "--layers", "1", "--width", "64", "--vocab",
                         "257", model_})
                  .exit_code,
              0);
  }

  ScratchFolder scratch_;
  const std::string vocab_ = scratch_ / "vocab.txt", model_ = scratch_ / "m.safetensors";
  const std::string cue_ = "Ctrl-D ends the text";
};

TEST_F(TerminalInputTest, OneCtrlDEndsWhatTokenizeReads) {
  const Words tokenize = {"tokenize", "--vocab", vocab_};
  for (const auto& [keys, ids] : std::vector<std::pair<std::string, std::string>>{
           {"ab\n", "98,99,11\r\n"}, {"ab\nc", "98,99,11,100\r\n"}, {"", "\r\n"}}) {
    const Outcome outcome = Typed(tokenize, cue_, keys + kCtrlD);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
    EXPECT_NE(outcome.out.find(ids), std::string::npos) << outcome.out;
  }
  const Outcome lines =
      Typed(tokenize + Words{"--jsonl"}, cue_, std::string("{\"text\":\"a\"}") + kCtrlD);
  EXPECT_EQ(lines.exit_code, 0) << lines.out;
  EXPECT_NE(lines.out.find("{\"ids\":[98]}"), std::string::npos) << lines.out;
}

TEST_F(TerminalInputTest, OneCtrlDEndsAPromptAndATextToScore) {
  const Words own = {"--vocab", vocab_};
  for (const Words& command : {Words{"generate", model_, "--max-tokens", "3"},
                               Words{"generate", model_, "--max-tokens", "3", "--prompt-file", "-"},
                               Words{"perplexity", model_, "-"}}) {
    for (const char* keys : {"in the morning\n", "in the morning"}) {
      const Outcome outcome = Typed(command + own, cue_, std::string(keys) + kCtrlD);
      EXPECT_EQ(outcome.exit_code, 0) << command[0] << outcome.out;
    }
  }
}

TEST_F(TerminalInputTest, OneCtrlDEndsTypedData) {
  const std::string name = scratch_ / "data";
  const Outcome outcome = Typed({"data", "build", "-", "--vocab", vocab_, "--out", name}, cue_,
                                std::string("One.\nTwo") + kCtrlD);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_NE(outcome.out.find("1 documents, 9 tokens"), std::string::npos) << outcome.out;
}

TEST_F(TerminalInputTest, CtrlCWhileTypingEndsItWith130) {
  const Outcome outcome = Typed({"generate", model_, "--vocab", vocab_}, cue_, "in\x03");
  EXPECT_EQ(outcome.exit_code, 130) << outcome.out;
}

}  // namespace
}  // namespace linnet
