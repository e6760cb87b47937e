#include "kernels/isa.h"

#include <fmt/format.h>

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>

#include "hwy/highway.h"
#include "linnet/error.h"

namespace linnet {
namespace {

constexpr std::array kNames = {"portable", "avx2", "avx512", "avx512vnni", "amx"};

#if HWY_ARCH_X86_64
// The tile unit's registers are large, so a process must request them from the system first.
bool HasAmx() {
#if defined(__linux__)
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0) return false;
  constexpr unsigned kBf16 = 1u << 22, kTile = 1u << 24;
  if ((edx & kBf16) == 0 || (edx & kTile) == 0) return false;
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}
#endif

// Highway's own checks include operating system support (saved registers). Its AVX2 is AVX2, FMA,
// BMI, BMI2, F16C; its AVX3 adds F, VL, DQ, BW.
bool Has([[maybe_unused]] Isa isa, [[maybe_unused]] int64_t highway) {
#if HWY_ARCH_X86_64
  switch (isa) {
    case Isa::kPortable:
      return (highway & HWY_SSE4) != 0;
    case Isa::kAvx2:
      return (highway & HWY_AVX2) != 0;
    case Isa::kAvx512:
      return (highway & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512cd");
    case Isa::kAvx512Vnni:
      return Has(Isa::kAvx512, highway) && __builtin_cpu_supports("avx512vnni") &&
             __builtin_cpu_supports("avx512bf16");
    case Isa::kAmx:
      return Has(Isa::kAvx512Vnni, highway) && HasAmx();
  }
  return false;
#else
  return isa == Isa::kPortable;
#endif
}

// The Highway targets to disable at a level.
int64_t DisabledTargets([[maybe_unused]] Isa isa) {
#if HWY_ARCH_X86_64
  constexpr int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
  if (isa == Isa::kPortable) return kAvx512 | HWY_AVX2;
  if (isa == Isa::kAvx2) return kAvx512;
#endif
  return 0;
}

// Evaluated once, before any target is disabled.
const std::vector<Isa>& Supported() {
  static const std::vector<Isa> levels = IsasAmong(hwy::SupportedTargets());
  return levels;
}

std::atomic<Isa>& Level() {
  static std::atomic<Isa> level = Supported().back();
  return level;
}

}  // namespace

const char* Name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

std::optional<Isa> ParseIsa(std::string_view name) {
  const auto* found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Isa>(found - kNames.begin());
}

std::vector<Isa> IsasAmong(int64_t highway) {
  std::vector<Isa> found;
  for (const Isa isa : {Isa::kPortable, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Vnni, Isa::kAmx}) {
    if (Has(isa, highway)) found.push_back(isa);
  }
  if (found.empty()) {
    throw Error(ErrorKind::kBadInput,
                "this CPU lacks SSE4.2, AES or PCLMULQDQ, which every kernel for x86-64 uses: run "
                "it on one made since 2011");
  }
  return found;
}

std::vector<Isa> SupportedIsas() { return Supported(); }

Isa CurrentIsa() { return Level().load(std::memory_order_relaxed); }

Core CurrentCore() {
#if HWY_ARCH_X86_64
  static const bool is_zen = __builtin_cpu_is("amd") && __builtin_cpu_supports("avx512vbmi");
  if (is_zen) return Core::kZen;
#endif
  return Core::kAny;
}

void ForceIsa(Isa isa) {
  const auto& levels = Supported();
  if (std::find(levels.begin(), levels.end(), isa) == levels.end()) {
    throw Error(ErrorKind::kBadInput,
                fmt::format("instruction-set level {}: this CPU goes up to {}", Name(isa),
                            Name(levels.back())));
  }
  Level() = isa;
  hwy::DisableTargets(DisabledTargets(isa));
  // Dispatch caches its choice: without this only the first call of the process would choose.
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

}  // namespace linnet
