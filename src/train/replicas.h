// Replicas: the rows of a pass side by side, each replica's on threads and with gradients of its
// own.
//
// Threads that share every product wait for one another hundreds of times in a pass, and move rows
// between their caches. In replicas they meet when all rows are through, as processes do (world.h).
#ifndef LINNET_TRAIN_REPLICAS_H_
#define LINNET_TRAIN_REPLICAS_H_

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

// How many replicas a pass of so many rows goes in. Whoever runs layers twice to save memory gets
// one.
size_t ReplicasFor(size_t rows, size_t threads, size_t gradient_bytes, const PassOptions& options);

// One thread at a time. The bits are those of Passes, however many replicas there are.
class Replicas {
 public:
  // Both must outlive it.
  Replicas(const Network& network, const PassOptions& options, ThreadPool& pool);
  ~Replicas();

  // Most rows that Learn takes.
  size_t most_rows() const { return options_.chunk == 0 ? SIZE_MAX : 1; }

  // As Passes::Learn, at least one row; but the network's gradients are those of these rows alone.
  double Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
               uint64_t dropout_seed);

  // As Passes::Bytes, with the gradients of replicas.
  uint64_t Bytes(size_t rows, size_t length);
  // Seconds that a pass of so many rows takes, found by running a row in each replica.
  double Seconds(size_t rows, size_t length);

 private:
  struct Replica;

  void Open(size_t rows);
  void SumGradients() const;

  const Network& network_;
  const PassOptions options_;
  ThreadPool& pool_;
  std::vector<std::unique_ptr<Replica>> replicas_;
};

}  // namespace linnet

#endif  // LINNET_TRAIN_REPLICAS_H_
