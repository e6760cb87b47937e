// Probes of what this machine can do at best, to hold the kernels against.
#ifndef LINNET_BENCH_PEAKS_H_
#define LINNET_BENCH_PEAKS_H_

#include <cstddef>

namespace linnet {

// Whether the compiler and this CPU have the probe.
bool HasF32Probe();
bool HasBf16Probe();

// Reads every line of [data, data + bytes), a multiple of 512; the result keeps
// the compiler from dropping it.
float ReadAll(const std::byte* data, size_t bytes);

// Multiply-adds on registers only; each returns how many floating-point
// operations it did (a multiply-add is two).
size_t F32Work(size_t rounds);
size_t Bf16Work(size_t rounds);
size_t AmxWork(size_t rounds);  // at level amx only

}  // namespace linnet

#endif  // LINNET_BENCH_PEAKS_H_
