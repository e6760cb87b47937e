// Random orthonormal rows, distributed like those from the QR decomposition of Gaussian matrices.
#ifndef LINNET_MODELS_INIT_ORTHOGONAL_H_
#define LINNET_MODELS_INIT_ORTHOGONAL_H_

#include <cstddef>

#include "base/buffer.h"
#include "base/thread_pool.h"

namespace linnet {

// `count` rows of `length` values in zero-padded memory, as OrthonormalizeRows requires.
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

// Makes the rows orthonormal: each row is reduced by its projection on the rows before it and
// normalized. This is the Q of A^T = QR with a positive diagonal of R. For Gaussian rows it is
// uniform over all orthonormal sets (Mezzadri, arXiv:math-ph/0609050), like torch's orthogonal_.
// Block Gram-Schmidt, in two passes where rows lose more than half of their squared length: 2 to 4
// count² length operations, orthonormal to a few 1e-6. The result is bit-identical for any number
// of threads. Requires count <= length and linearly independent rows.
void OrthonormalizeRows(RowBlock& rows, ThreadPool& pool);

}  // namespace linnet

#endif  // LINNET_MODELS_INIT_ORTHOGONAL_H_
