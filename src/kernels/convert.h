// Rows of the 16-bit floats to f32 and back; tensor/half.h converts single values.
#ifndef LINNET_KERNELS_CONVERT_H_
#define LINNET_KERNELS_CONVERT_H_

#include <cstddef>
#include <cstdint>

namespace linnet {

// The same bits as the functions of tensor/half.h, at every level. Pointers need only the alignment
// of their type; x and y must not overlap.
void F16ToF32Row(const uint16_t* x, size_t n, float* y) noexcept;
void BF16ToF32Row(const uint16_t* x, size_t n, float* y) noexcept;
void F32ToF16Row(const float* x, size_t n, uint16_t* y) noexcept;
void F32ToBF16Row(const float* x, size_t n, uint16_t* y) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_CONVERT_H_
