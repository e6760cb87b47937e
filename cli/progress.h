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
  Progress(std::string doing, uint64_t total);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Update(uint64_t done);

 private:
  using Clock = std::chrono::steady_clock;
  std::string doing_;
  uint64_t total_;
  StatusLine line_;
  Clock::time_point next_;
};

}  // namespace linnet::cli

#endif  // LINNET_CLI_PROGRESS_H_
