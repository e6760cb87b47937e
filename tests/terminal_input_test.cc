// Texts that are typed: one Ctrl-D ends them.
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "program.h"

namespace linnet {
namespace {

constexpr const char* kCtrlD = "\x04";

// Runs `linnet` in a terminal in which `keys` are typed once it has shown `cue`; `out` is all that
// was shown. A program that waits for more keys is ended.
Outcome Typed(Words words, const std::string& cue, const std::string& keys) {
  constexpr int kPatience = 60'000;  // milliseconds without a sign of life
  std::string program = LINNET_PROGRAM;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) throw std::runtime_error("forkpty failed");
  if (child == 0) {
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  Outcome outcome{};
  bool typed = false;
  for (;;) {
    pollfd ready = {terminal, POLLIN, 0};
    if (poll(&ready, 1, kPatience) <= 0) {
      kill(child, SIGKILL);
      break;
    }
    char text[4096];
    const ssize_t count = read(terminal, text, sizeof text);
    if (count <= 0) break;  // nobody has it open at the other end
    outcome.out.append(text, static_cast<size_t>(count));
    if (typed || outcome.out.find(cue) == std::string::npos) continue;
    typed = true;
    EXPECT_EQ(write(terminal, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  close(terminal);
  int status = 0;
  waitpid(child, &status, 0);
  outcome.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
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
