// Replicas: run the rows of a pass in parallel, each replica with its own threads and gradients.
//
// Threads that share every product synchronize hundreds of times in a pass and move rows between
// their caches. Replicas synchronize once, after all rows, as processes do (world.h).
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

// The number of replicas for a pass of so many rows. With recompute, which saves memory, it is
// one.
size_t ReplicasFor(size_t rows, size_t threads, size_t gradient_bytes, const PassOptions& options);

// One thread at a time. The bits are those of Passes, however many replicas there are.
class Replicas {
 public:
  // Both must outlive this object.
  Replicas(const Network& network, const PassOptions& options, ThreadPool& pool);
  ~Replicas();

  // The most rows that Learn accepts.
  size_t most_rows() const { return options_.chunk == 0 ? SIZE_MAX : 1; }

  // As Passes::Learn, but with at least one row, and the network's gradients are overwritten.
  double Learn(std::span<const SampleRow> rows, uint64_t first, double scale,
               uint64_t dropout_seed);

  // As Passes::Bytes, including the gradients of replicas.
  uint64_t Bytes(size_t rows, size_t length);
  // Seconds that a pass of so many rows takes, measured by running a row in each replica.
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
