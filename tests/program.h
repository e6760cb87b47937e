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

// Runs a program with these arguments, `input` on its stdin, and waits.
Outcome RunProgram(std::string program, const std::vector<std::string>& arguments,
                   std::string_view input = {});

// Runs the `linnet` of this build.
Outcome RunLinnet(const std::vector<std::string>& arguments, std::string_view input = {});

// Whether it is time to do something to a program that runs, of which `out` is what it has printed
// so far. Asked again and again, until it is or the program has ended: a busy machine may take as
// long as it likes, and CTest ends what hangs.
using Due = std::function<bool(const std::string& out)>;

// As RunLinnet, but sends `signal` once that is due. `again` > 0 repeats it every so many seconds
// until the program ends.
Outcome SignalLinnet(const std::vector<std::string>& arguments, const Due& due, int signal,
                     std::string_view input = {}, double again = 0);

// Runs `linnet` in a terminal of its own, which is closed once that is due; its exit code, or minus
// the signal's number.
int CloseTerminalOf(const std::vector<std::string>& arguments, const Due& due);

// Runs `linnet` in a terminal of its own and waits; `out` is all that was shown there. Once `due`,
// the program is stopped for a second, and goes on.
Outcome RunInTerminal(const std::vector<std::string>& arguments, const Due& due = nullptr);

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
