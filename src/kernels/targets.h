// The Highway targets that kernels are compiled for; include it before any Highway header.
#ifndef LINNET_KERNELS_TARGETS_H_
#define LINNET_KERNELS_TARGETS_H_

// Each x86 target adds build time, so there are three: AVX3, AVX2, and for all older processors
// SSE4, which is the baseline instead of scalar code. isa.cc refuses a processor without it.
#if defined(__x86_64__)
#define HWY_BASELINE_TARGETS HWY_SSE4
#endif

// Kernels keep vectors in arrays, which the sizeless vectors of SVE do not allow; NEON serves all
// of aarch64.
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE_256 | HWY_SVE2 | HWY_SVE2_128)

#endif  // LINNET_KERNELS_TARGETS_H_
