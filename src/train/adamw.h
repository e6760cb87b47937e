// AdamW for this process's shard of the trained parameters.
#ifndef LINNET_TRAIN_ADAMW_H_
#define LINNET_TRAIN_ADAMW_H_

#include <cstdint>
#include <span>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "models/network.h"
#include "train/groups.h"

namespace linnet {

// Unit, in floats, in which work is summed, split over threads and assigned to processes.
inline constexpr size_t kAdamBlock = 4096;

struct AdamWOptions {
  double beta1 = 0.9, beta2 = 0.99, eps = 1e-18, weight_decay = 0.1;
};

// Decoupled decay (Loshchilov, Hutter 2019), with PyTorch's order of operations and bias
// correction. Owns both moments of floats [begin, end) of Network::values(). One thread at a time.
class AdamW {
 public:
  // `begin` and `end` are multiples of kAdamBlock, except the last end.
  AdamW(const Network& network, size_t begin, size_t end, const AdamWOptions& options);

  // Runs update number `step`, starting at 1, with gradients multiplied by `scale`.
  void Update(uint64_t step, double rate, double scale, ThreadPool& pool);

  std::span<float> first_moments() { return {first_, end_ - begin_}; }
  std::span<float> second_moments() { return {second_, end_ - begin_}; }

 private:
  // Floats of one group in one block.
  struct Piece {
    size_t begin, count;
    Group group;
  };

  std::span<float> values_, gradients_;
  size_t begin_, end_;
  AdamWOptions options_;
  std::vector<Piece> pieces_;
  Buffer memory_;
  float *first_, *second_;
};

// The sum of squares of `values`, in double, computed per block (kernels/adamw.h). The sum of
// block i is written to blocks[i].
void BlockSquares(std::span<const float> values, ThreadPool& pool, std::span<double> blocks);

}  // namespace linnet

#endif  // LINNET_TRAIN_ADAMW_H_
