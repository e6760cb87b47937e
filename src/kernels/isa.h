// The current instruction-set level.
#ifndef LINNET_KERNELS_ISA_H_
#define LINNET_KERNELS_ISA_H_

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace linnet {

// avx2: AVX2, FMA, BMI2, F16C. avx512: F, BW, DQ, VL, CD. avx512vnni: adds VNNI and BF16. amx: adds
// the tile unit with bf16, if the system permits it.
enum class Isa : uint8_t { kPortable, kAvx2, kAvx512, kAvx512Vnni, kAmx };

const char* Name(Isa isa);  // "portable", "avx2", "avx512", "avx512vnni", "amx"
std::optional<Isa> ParseIsa(std::string_view name);

// Levels of this CPU, lowest first; kPortable is always supported: SSE4.2, AES and PCLMULQDQ on
// x86-64, NEON on aarch64. Throws Error kBadInput on an older CPU, as CurrentIsa and ForceIsa do.
std::vector<Isa> SupportedIsas();

// The same for a CPU with these SupportedTargets of Highway.
std::vector<Isa> IsasAmong(int64_t highway_targets);

// The level that all kernels use: the highest supported one until ForceIsa.
Isa CurrentIsa();

// Process-wide; call it before any pass runs, or between passes (tests do).
// Throws Error kBadInput if this CPU lacks the level.
void ForceIsa(Isa isa);

// Differences between cores of level avx512vnni. kZen: AMD's, whose bf16 dot product is as fast as
// an f32 multiply-add, whose prefetches into L1 return sooner than those into L2, and which look up
// bytes in 64-byte registers (VBMI). kAny runs on all of them.
enum class Core : uint8_t { kAny, kZen };
Core CurrentCore();

}  // namespace linnet

#endif  // LINNET_KERNELS_ISA_H_
