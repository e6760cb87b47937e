// Runs the program `linnet`, or another, as a user would, for tests.
#ifndef LINNET_TESTS_PROGRAM_H_
#define LINNET_TESTS_PROGRAM_H_

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/scratch_folder.h"

namespace linnet {

// The words of a command line, and more of them.
using Words = std::vector<std::string>;
Words operator+(Words words, const Words& more);

struct Outcome {
  int exit_code;  // minus the signal's number if one ended it
  std::string out, err;
  size_t peak_bytes;  // the most memory it had resident
};

// Runs a program with these arguments, `input` on its stdin, and waits. An `interrupt_after` > 0
// sends it `signal` after that many seconds.
Outcome RunProgram(std::string program, const std::vector<std::string>& arguments,
                   std::string_view input = {}, double interrupt_after = 0, int signal = SIGINT);

// Runs the `linnet` of this build.
Outcome RunLinnet(const std::vector<std::string>& arguments, std::string_view input = {},
                  double interrupt_after = 0, int signal = SIGINT);

// As RunLinnet, but sends `signal` when `moment` returns, which runs beside it.
Outcome SignalLinnet(const std::vector<std::string>& arguments, const std::function<void()>& moment,
                     int signal);

// Runs `linnet` in a terminal of its own, which is closed when `moment` returns; its exit code, or
// minus the signal's number.
int CloseTerminalOf(const std::vector<std::string>& arguments, const std::function<void()>& moment);

// Runs `linnet` in a terminal of its own and waits; `out` is all that was shown there.
Outcome RunInTerminal(const std::vector<std::string>& arguments);

// test::TemporaryFolder whose names are words of a command line.
class ScratchFolder {
 public:
  std::string operator/(const char* name) const { return (folder_ / name).string(); }

 private:
  test::TemporaryFolder folder_;
};

void WriteFile(const std::filesystem::path& path, std::string_view bytes);
std::string ReadFile(const std::filesystem::path& path);

}  // namespace linnet

#endif  // LINNET_TESTS_PROGRAM_H_
