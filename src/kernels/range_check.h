// A check that values are finite and in range, at memory bandwidth.
#ifndef LINNET_KERNELS_RANGE_CHECK_H_
#define LINNET_KERNELS_RANGE_CHECK_H_

#include <cstddef>

namespace linnet {

// Whether all magnitudes are at most `most`, which is finite; false if any value is NaN.
bool AllMagnitudesWithin(const float* x, size_t n, float most) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_RANGE_CHECK_H_
