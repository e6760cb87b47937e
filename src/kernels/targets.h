// The Highway targets that kernels are compiled for; include it before any Highway header.
#ifndef LINNET_KERNELS_TARGETS_H_
#define LINNET_KERNELS_TARGETS_H_

// SSE4 serves all x86 below AVX2. Kernels keep vectors in arrays, which the sizeless vectors of SVE
// do not allow; NEON serves all of aarch64.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128)

#endif  // LINNET_KERNELS_TARGETS_H_
