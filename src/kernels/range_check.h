// Whether values are numbers, and none too large: a look at them that costs less than reading them.
#ifndef LINNET_KERNELS_RANGE_CHECK_H_
#define LINNET_KERNELS_RANGE_CHECK_H_

#include <cstddef>

namespace linnet {

// Whether all magnitudes are at most `most`, which is finite; NaN is not.
bool AllMagnitudesWithin(const float* x, size_t n, float most) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_RANGE_CHECK_H_
