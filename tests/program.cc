#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <utility>

namespace linnet {
namespace {

void Redirect(const std::string& path, int flags, int fd) {
  const int file = open(path.c_str(), flags, 0600);
  if (file < 0 || dup2(file, fd) < 0) _exit(126);
}

int CodeOf(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status); }

// As exec wants them; they live as long as the strings.
std::vector<char*> Pointers(std::string& program, std::vector<std::string>& words) {
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  return argv;
}

// `moment`, if there is one, returns when the signal is due.
Outcome Run(std::string program, const std::vector<std::string>& arguments, std::string_view input,
            const std::function<void()>& moment, int signal) {
  const ScratchFolder scratch;
  const std::string in = scratch / "in", out = scratch / "out", err = scratch / "err";
  WriteFile(in, input);

  std::vector<std::string> words = arguments;
  const std::vector<char*> argv = Pointers(program, words);

  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) {
    Redirect(in, O_RDONLY, STDIN_FILENO);
    Redirect(out, O_WRONLY | O_CREAT, STDOUT_FILENO);
    Redirect(err, O_WRONLY | O_CREAT, STDERR_FILENO);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  if (moment) {
    moment();
    kill(child, signal);
  }
  int status = 0;
  rusage usage{};
  if (wait4(child, &status, 0, &usage) != child) throw std::runtime_error("wait4 failed");
  return {CodeOf(status), ReadFile(out), ReadFile(err),
          static_cast<size_t>(usage.ru_maxrss) * 1024};
}

// The program and the other end of a terminal that is all it knows.
std::pair<pid_t, int> StartInTerminal(const std::vector<std::string>& arguments) {
  std::string program = LINNET_PROGRAM;
  std::vector<std::string> words = arguments;
  const std::vector<char*> argv = Pointers(program, words);
  int terminal = -1;
  const pid_t child = forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child < 0) throw std::runtime_error("forkpty failed");
  if (child == 0) {
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  return {child, terminal};
}

}  // namespace

Words operator+(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

Outcome RunProgram(std::string program, const std::vector<std::string>& arguments,
                   std::string_view input, double interrupt_after, int signal) {
  const auto wait = [=] {
    std::this_thread::sleep_for(std::chrono::duration<double>(interrupt_after));
  };
  return Run(std::move(program), arguments, input,
             interrupt_after > 0 ? std::function<void()>(wait) : nullptr, signal);
}

Outcome RunLinnet(const std::vector<std::string>& arguments, std::string_view input,
                  double interrupt_after, int signal) {
  return RunProgram(LINNET_PROGRAM, arguments, input, interrupt_after, signal);
}

Outcome SignalLinnet(const std::vector<std::string>& arguments, const std::function<void()>& moment,
                     int signal) {
  return Run(LINNET_PROGRAM, arguments, {}, moment, signal);
}

int CloseTerminalOf(const std::vector<std::string>& arguments,
                    const std::function<void()>& moment) {
  const std::pair<pid_t, int> started = StartInTerminal(arguments);
  const pid_t child = started.first;
  const int terminal = started.second;
  std::atomic<bool> over{false};
  std::thread reader([&] {  // what nobody reads would make it wait
    char text[4096];
    pollfd ready = {terminal, POLLIN, 0};
    while (!over && (poll(&ready, 1, 10) == 0 || read(terminal, text, sizeof(text)) > 0)) continue;
  });
  moment();
  over = true;
  reader.join();
  close(terminal);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  return CodeOf(status);
}

Outcome RunInTerminal(const std::vector<std::string>& arguments) {
  const auto [child, terminal] = StartInTerminal(arguments);
  Outcome outcome{};
  char text[4096];
  // Once nobody has it open at the other end, reading fails.
  for (ssize_t n = 0; (n = read(terminal, text, sizeof(text))) > 0;) {
    outcome.out.append(text, static_cast<size_t>(n));
  }
  close(terminal);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  outcome.exit_code = CodeOf(status);
  return outcome;
}

void WriteFile(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + path.string());
}

std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace linnet
