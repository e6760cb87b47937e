// World: the processes that train one model together; one of them alone if nothing is said.
#ifndef LINNET_TRAIN_WORLD_H_
#define LINNET_TRAIN_WORLD_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace linnet {

// Where each process's shard of a row of values begins; shards[size] is its end.
using ShardBounds = std::span<const size_t>;

// Every process calls the same functions in the same order; each waits for all. Sums are taken in
// halves over processes (ops/sum_tree.h), so they do not depend on arrival. One thread at a time.
// All throw Error kIo if a process is lost.
class World {
 public:
  virtual ~World() = default;
  virtual size_t index() const { return 0; }  // of this process, MPI's rank
  virtual size_t size() const { return 1; }

  // Adds the values of all processes. Afterwards process r has the sums of its own shard; its other
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
  // Process 0 gets the shards of all processes in order through `take`, some values at a time; the
  // others give theirs.
  virtual void Gather(std::span<const float> own, ShardBounds shards,
                      const std::function<void(std::span<const float>)>& take) {
    (void)shards;
    take(own);
  }
  // The value of process 0, on all processes.
  virtual int64_t FromFirst(int64_t value) { return value; }
};

}  // namespace linnet

#endif  // LINNET_TRAIN_WORLD_H_
