#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

// Whether a child of ours has ended; it can still be waited for.
bool HasEnded(pid_t child) {
  siginfo_t info{};
  return waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
         info.si_pid == child;
}

template <class F>
void WaitUntil(pid_t child, const F& due) {
  while (!HasEnded(child) && !due()) std::this_thread::sleep_for(std::chrono::microseconds(200));
}

// A signal to be sent once it is due; without `due`, none.
struct Planned {
  Due due;
  int signal = SIGINT;
  double again = 0;  // seconds
};

Outcome Run(std::string program, const std::vector<std::string>& arguments, std::string_view input,
            const Planned& plan = {}) {
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
  if (plan.due) {
    WaitUntil(child, [&] { return plan.due(ReadFile(out)); });
    kill(child, plan.signal);
    while (plan.again > 0 && !HasEnded(child)) {
      const auto next =
          std::chrono::steady_clock::now() + std::chrono::duration<double>(plan.again);
      WaitUntil(child, [&] { return std::chrono::steady_clock::now() >= next; });
      kill(child, plan.signal);
    }
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
                   std::string_view input) {
  return Run(std::move(program), arguments, input);
}

Outcome RunLinnet(const std::vector<std::string>& arguments, std::string_view input) {
  return RunProgram(LINNET_PROGRAM, arguments, input);
}

Outcome SignalLinnet(const std::vector<std::string>& arguments, const Due& due, int signal,
                     std::string_view input, double again) {
  return Run(LINNET_PROGRAM, arguments, input, {due, signal, again});
}

int CloseTerminalOf(const std::vector<std::string>& arguments, const Due& due) {
  const auto [child, terminal] = StartInTerminal(arguments);
  std::string out;
  char text[4096];
  pollfd ready = {terminal, POLLIN, 0};
  WaitUntil(child, [&, terminal = terminal] {  // what nobody reads would make it wait
    if (poll(&ready, 1, 0) > 0) {
      const ssize_t n = read(terminal, text, sizeof(text));
      if (n > 0) out.append(text, static_cast<size_t>(n));
    }
    return due(out);
  });
  close(terminal);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw std::runtime_error("waitpid failed");
  return CodeOf(status);
}

Outcome RunInTerminal(const std::vector<std::string>& arguments, const Due& due) {
  const auto [child, terminal] = StartInTerminal(arguments);
  Outcome outcome{};
  if (due) {
    WaitUntil(child, [&] { return due({}); });
    kill(child, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(1));
    kill(child, SIGCONT);
  }
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
