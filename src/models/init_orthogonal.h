// Random orthonormal rows, distributed as the QR decomposition of Gaussians gives them.
#ifndef LINNET_MODELS_INIT_ORTHOGONAL_H_
#define LINNET_MODELS_INIT_ORTHOGONAL_H_

#include <cstddef>

#include "base/buffer.h"
#include "base/thread_pool.h"

namespace linnet {

// `count` rows of `length` values in zero-padded memory, as OrthonormalizeRows wants them.
class RowBlock {
 public:
  static constexpr size_t kRows = 64, kColumns = 64;  // sizes are padded to multiples

  RowBlock(size_t count, size_t length);

  size_t count() const { return count_; }
  size_t length() const { return length_; }
  size_t stride() const { return stride_; }  // of rows, in floats; padding is zero
  float* Row(size_t i) { return reinterpret_cast<float*>(buffer_.data()) + i * stride_; }
  const float* Row(size_t i) const {
    return reinterpret_cast<const float*>(buffer_.data()) + i * stride_;
  }

 private:
  size_t count_, length_, stride_;
  Buffer buffer_;
};

// Makes the rows orthonormal, each one the direction of what is left of it after
// those before: the Q of A^T = QR with R's diagonal positive, which of Gaussian
// rows is uniform over all orthonormal sets (Mezzadri, arXiv:math-ph/0609050), as
// torch's orthogonal_ has it. Block Gram-Schmidt, twice where rows lose more than
// half of themselves: 2 to 4 count² length operations, orthonormal to a few 1e-6.
// The same bits on any number of threads. Needs count <= length and rows that
// are linearly independent.
void OrthonormalizeRows(RowBlock& rows, ThreadPool& pool);

}  // namespace linnet

#endif  // LINNET_MODELS_INIT_ORTHOGONAL_H_
