// The Highway targets our kernels are compiled for; included before anything of Highway's.
#ifndef LINNET_KERNELS_TARGETS_H_
#define LINNET_KERNELS_TARGETS_H_

// SSE4 stands for every x86 below AVX2. Kernels keep vectors in arrays, which SVE's
// sizeless ones cannot be; NEON serves all of aarch64.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128)

#endif  // LINNET_KERNELS_TARGETS_H_
