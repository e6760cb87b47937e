#include "program.h"

#include <fcntl.h>
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

// `moment`, if there is one, returns when the signal is due.
Outcome Run(std::string program, const std::vector<std::string>& arguments, std::string_view input,
            const std::function<void()>& moment, int signal) {
  const ScratchFolder scratch;
  const std::string in = scratch / "in", out = scratch / "out", err = scratch / "err";
  WriteFile(in, input);

  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

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
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), ReadFile(out), ReadFile(err),
          static_cast<size_t>(usage.ru_maxrss) * 1024};
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
