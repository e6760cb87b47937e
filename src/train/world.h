// World: the processes that train one model together; by default a single process.
#ifndef LINNET_TRAIN_WORLD_H_
#define LINNET_TRAIN_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace linnet {

// The start of each process's shard of an array of values; shards[size] is the end.
using ShardBounds = std::span<const size_t>;

// Every process calls the same functions in the same order; each call waits for all processes. Sums
// are computed as a binary tree over processes (ops/sum_tree.h), so they do not depend on the order
// of arrival. One thread at a time. All members throw Error kIo if a process is lost.
class World {
 public:
  virtual ~World() = default;
  virtual size_t index() const { return 0; }  // of this process, MPI's rank
  virtual size_t size() const { return 1; }

  // Sums the values of all processes. Afterwards process r has the sums of its own shard; its other
  // values are unspecified.
  virtual void ReduceScatter(std::span<float> values, ShardBounds shards) {
    (void)values;
    (void)shards;
  }
  // Sends each process's shard to all others.
  virtual void AllGather(std::span<float> values, ShardBounds shards) {
    (void)values;
    (void)shards;
  }
  virtual void AllGather(std::span<double> values, ShardBounds shards) {
    (void)values;
    (void)shards;
  }
  virtual double Sum(double value) { return value; }
  // Process 0 receives the shards of all processes in order through `take`, some values at a time;
  // the others send theirs.
  virtual void Gather(std::span<const float> own, ShardBounds shards,
                      const std::function<void(std::span<const float>)>& take) {
    (void)shards;
    take(own);
  }
  // Returns the value of process 0 on all processes.
  virtual int64_t FromFirst(int64_t value) { return value; }
};

}  // namespace linnet

#endif  // LINNET_TRAIN_WORLD_H_
