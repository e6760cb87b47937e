// PassTimes: how long passes of so many rows take, and how many guesses pay in one.
#ifndef LINNET_ENGINE_PASS_TIMES_H_
#define LINNET_ENGINE_PASS_TIMES_H_

#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace linnet {

// Numbers of rows whose passes take about the same time: exact up to 8, then four kinds for each
// doubling.
inline constexpr size_t kRowKinds = 64;
size_t RowKind(size_t rows);

// What a text may add to a pass.
struct GuessOffer {
  size_t guesses = 0;       // at most
  double acceptance = 0.5;  // of a guess whose predecessors were accepted
  // The same of the first guess, the second, …; `acceptance` is that of those that it lacks.
  std::span<const double> each{};
  double guess_s = 0;  // to make one
  // To go back to a token after a wrong guess, for each token since the pass; none: they are run
  // again in the next one.
  std::optional<double> back_s{};
};

// Learns from the times of past passes. Not thread-safe.
class PassTimes {
 public:
  // A pass of `rows` rows took so long.
  void Took(size_t rows, double seconds);
  // What one would take; 0 if none was measured.
  double Of(size_t rows) const;

  // The number of guesses with which a pass of `rows` rows, in which `texts` texts get a token
  // each, gives most tokens a second. 0 where none pays, or while no pass was measured.
  size_t Guesses(size_t rows, double texts, const GuessOffer& offer) const;

 private:
  std::array<double, kRowKinds> seconds_{};  // 0: unknown
  std::array<double, kRowKinds> rows_{};     // mean
};

}  // namespace linnet

#endif  // LINNET_ENGINE_PASS_TIMES_H_
