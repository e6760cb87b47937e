#include "terminal.h"

#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>

namespace linnet {
namespace {

constexpr int kTooLong = 300'000;  // milliseconds without a byte

winsize SizeOf(int columns, int rows) {
  winsize size = {};
  size.ws_col = static_cast<unsigned short>(columns);
  size.ws_row = static_cast<unsigned short>(rows);
  return size;
}

}  // namespace

Terminal::Terminal(const Words& arguments, const std::string& home, int columns, int rows) {
  std::string program = LINNET_PROGRAM;
  std::vector<std::string> words = arguments;
  std::vector<char*> argv = {program.data()};
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const winsize size = SizeOf(columns, rows);
  child_ = forkpty(&fd_, nullptr, nullptr, &size);
  if (child_ < 0) throw std::runtime_error("forkpty failed");
  if (child_ == 0) {
    setenv("HOME", home.c_str(), 1);
    setenv("TERM", "xterm", 1);
    setenv("LC_ALL", "C.UTF-8", 1);
    unsetenv("XDG_STATE_HOME");
    execv(program.c_str(), argv.data());
    _exit(127);
  }
}

Terminal::~Terminal() {
  if (child_ >= 0) {
    kill(child_, SIGKILL);
    waitpid(child_, nullptr, 0);
  }
  close(fd_);
}

void Terminal::Type(std::string_view keys) const {
  while (!keys.empty()) {
    const ssize_t n = write(fd_, keys.data(), keys.size());
    if (n <= 0) throw std::runtime_error("the terminal does not accept keys");
    keys.remove_prefix(static_cast<size_t>(n));
  }
}

void Terminal::Resize(int columns, int rows) {
  const winsize size = SizeOf(columns, rows);
  if (ioctl(fd_, TIOCSWINSZ, &size) != 0) throw std::runtime_error("TIOCSWINSZ failed");
}

void Terminal::SkipShown() {
  while (ReadSome(0)) continue;
  seen_ = shown_.size();
}

void Terminal::Signal(int signal) const { kill(child_, signal); }

bool Terminal::ReadSome(int wait) {
  pollfd ready = {fd_, POLLIN, 0};
  if (poll(&ready, 1, wait) == 0) {
    if (wait == 0) return false;
    throw std::runtime_error("nothing more is shown after: " + shown_.substr(seen_));
  }
  char text[4096];
  const ssize_t n = read(fd_, text, sizeof(text));
  if (n <= 0) return false;  // the other end is closed
  shown_.append(text, static_cast<size_t>(n));
  return true;
}

std::string Terminal::WaitFor(std::string_view text) {
  for (;;) {
    const size_t at = shown_.find(text, seen_);
    if (at != shown_.npos) {
      const size_t end = at + text.size();
      const std::string part = shown_.substr(seen_, end - seen_);
      seen_ = end;
      return part;
    }
    if (!ReadSome(kTooLong)) {
      throw std::runtime_error("'" + std::string(text) +
                               "' is never shown, but: " + shown_.substr(seen_));
    }
  }
}

int Terminal::Wait() {
  while (ReadSome(kTooLong)) continue;
  int status = 0;
  if (waitpid(child_, &status, 0) != child_) throw std::runtime_error("waitpid failed");
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace linnet
