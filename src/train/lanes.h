// Lanes: the rows of a pass side by side, each lane's on threads and with gradients of its own.
//
// Threads that share every product wait for one another hundreds of times in a pass, and move rows
// between their caches. In lanes they meet when all rows are through, as ranks do (world.h).
#ifndef LINNET_TRAIN_LANES_H_
#define LINNET_TRAIN_LANES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "models/network.h"
#include "train/passes.h"
#include "train/samples.h"

namespace linnet {

// How many lanes a pass of so many rows goes in. Whoever runs layers twice to save memory gets one.
size_t LanesFor(size_t rows, size_t threads, size_t gradient_bytes, const PassOptions& options);

// One thread at a time. The bits are those of Passes, however many lanes there are.
class Lanes {
 public:
  // Both must outlive it.
  Lanes(const Network& network, const PassOptions& options, ThreadPool& pool);
  ~Lanes();

  // Most rows that Learn takes.
  size_t most_rows() const { return options_.chunk == 0 ? SIZE_MAX : 1; }

  // As Passes::Learn, at least one row; but the network's gradients are those of these rows alone.
  double Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
               uint64_t dropout_seed);

  // As Passes::Bytes, with the gradients of lanes.
  uint64_t Bytes(size_t rows, size_t length);
  // Seconds that a pass of so many rows takes, found by running a row in each lane.
  double Seconds(size_t rows, size_t length);

 private:
  struct Lane;

  void Open(size_t rows);
  void SumGradients() const;

  const Network& network_;
  const PassOptions options_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<Lane>> lanes_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_LANES_H_
