// Progress: shows the progress of a long command on stderr.
#ifndef LINNET_CLI_PROGRESS_H_
#define LINNET_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/status_line.h"

namespace linnet::cli {

// On a terminal a bar, redrawn in place and erased at the end; otherwise at most one line every
// five seconds. Short work shows nothing. One thread at a time.
class Progress {
 public:
  // With `time_left` it also shows how long the rest takes at the same speed.
  Progress(std::string doing, uint64_t total, bool time_left = false);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::string Left(double share) const;

  std::string doing_;
  uint64_t total_;
  bool time_left_;
  Clock::time_point start_ = Clock::now();
  StatusLine line_;
  Clock::time_point next_;
};

// "3 d 4 h", "2 h 05 min", "1 min 30 s" or "12 s".
std::string Duration(double seconds);

}  // namespace linnet::cli

#endif  // LINNET_CLI_PROGRESS_H_
