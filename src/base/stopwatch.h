// Stopwatch: the seconds since it was made.
#ifndef LINNET_BASE_STOPWATCH_H_
#define LINNET_BASE_STOPWATCH_H_

#include <chrono>

namespace linnet {

class Stopwatch {
 public:
  double Seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace linnet

#endif  // LINNET_BASE_STOPWATCH_H_
