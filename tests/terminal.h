// Terminal: the program as someone at a keyboard sees it, for tests.
#ifndef LINNET_TESTS_TERMINAL_H_
#define LINNET_TESTS_TERMINAL_H_

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "program.h"

namespace linnet {

// Runs `linnet` in a terminal of its own until it ends or this is destroyed. HOME and the XDG
// folders are in `home`. Waits are for output, never for a time; a program that says nothing for
// minutes throws std::runtime_error.
class Terminal {
 public:
  Terminal(const Words& arguments, const std::string& home, int columns = 80, int rows = 24);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  void Type(std::string_view keys) const;
  void Resize(int columns, int rows = 24);
  void Signal(int signal) const;

  // Reads until `text` has been shown since the last call returned; gives what was shown from
  // there to its end.
  std::string WaitFor(std::string_view text);

  // WaitFor ignores what was shown up to now. After Resize this may include the redraw.
  void SkipShown();

  // Reads until the program ends; its exit code, or minus the signal's number.
  int Wait();

  // All bytes so far.
  const std::string& shown() const { return shown_; }

 private:
  bool ReadSome(int wait);  // milliseconds; false at the end, or if nothing is there

  pid_t child_ = -1;
  int fd_ = -1;
  std::string shown_;
  size_t seen_ = 0;  // of shown_, by WaitFor
};

}  // namespace linnet

#endif  // LINNET_TESTS_TERMINAL_H_
