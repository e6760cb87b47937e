// Probes of what this machine can do at best, to hold the kernels against.
//
// All run on the calling thread, those of arithmetic at the instruction-set level in force. These
// keep to registers, repeat `rounds` times, and return how many operations they did (a multiply-add
// is two).
#ifndef LINNET_KERNELS_PEAKS_H_
#define LINNET_KERNELS_PEAKS_H_

#include <cstddef>

namespace linnet {

// Reads every line of [data, data + bytes), a multiple of 512, with the widest vectors that this
// CPU has, whatever the level: a product may well wait for memory at any of them. Returns bytes.
size_t ReadWork(const std::byte* data, size_t bytes) noexcept;

// Multiply-adds of f32.
size_t F32Work(size_t rounds) noexcept;

// Products of bf16 pairs, on tiles at level amx; where the level has none, those of f32.
size_t Bf16Work(size_t rounds) noexcept;

// Products of int8 quads, likewise.
size_t Int8Work(size_t rounds) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_PEAKS_H_
