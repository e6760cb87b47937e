// Probes of this machine's peak bandwidth and arithmetic, the reference for the kernels.
//
// All run on the calling thread. The arithmetic probes use the current instruction-set level, work
// in registers, repeat `rounds` times, and return the number of operations (a multiply-add is two).
#ifndef LINNET_KERNELS_PEAKS_H_
#define LINNET_KERNELS_PEAKS_H_

#include <cstddef>

namespace linnet {

// Reads every cache line of [data, data + bytes), a multiple of 512 bytes, with the widest vectors
// of this CPU whatever the level, since a product may be memory-bound at any level. Returns bytes.
size_t ReadWork(const std::byte* data, size_t bytes) noexcept;

// Multiply-adds of f32.
size_t F32Work(size_t rounds) noexcept;

// Products of bf16 pairs, on tiles at level amx; f32 where the level has no bf16 instructions.
size_t Bf16Work(size_t rounds) noexcept;

// Products of int8 quads, likewise.
size_t Int8Work(size_t rounds) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_PEAKS_H_
