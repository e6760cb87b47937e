// Principal factors: the best low-rank approximation of a matrix, for PiSSA.
#ifndef LINNET_TRAIN_PRINCIPAL_FACTORS_H_
#define LINNET_TRAIN_PRINCIPAL_FACTORS_H_

#include <cstddef>
#include <vector>

#include "base/thread_pool.h"
#include "io/tensor_view.h"

namespace linnet {

struct PrincipalFactors {
  std::vector<float> down, up;  // sqrt(S) V^T [rank, in] and U sqrt(S) [out, rank]
};

// The `rank` largest singular values of a matrix [out, in] and their vectors, by subspace iteration
// from `start`, random [rank, in] (Halko, Martinsson, Tropp, arXiv:0909.4061; torch.svd_lowrank
// with niter = 4). Directions in which the matrix is zero give zeros. The same bits on any number
// of threads. Needs memory for the matrix as f32 and a few copies of the factors.
PrincipalFactors FindPrincipalFactors(const TensorView& matrix, size_t rank,
                                      std::vector<float> start, ThreadPool& pool);

}  // namespace linnet

#endif  // LINNET_TRAIN_PRINCIPAL_FACTORS_H_
