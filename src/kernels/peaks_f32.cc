#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/peaks_f32.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/peaks.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Enough sums to hide the latency of two execution units, and of a multiply followed by an add
// where they are not fused; with `half` and `quarter` they fill the 16 registers of the lower
// levels.
constexpr size_t kSums = 14;

// Each sum converges to 0.5 and stays there.
size_t F32(size_t rounds, float* out) {
  const hn::ScalableTag<float> d;
  hn::Vec<decltype(d)> sum[kSums];
#pragma GCC unroll 14
  for (size_t j = 0; j < kSums; ++j) sum[j] = hn::Set(d, static_cast<float>(j));
  const auto half = hn::Set(d, 0.5f), quarter = hn::Set(d, 0.25f);
  for (size_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 14
    for (size_t j = 0; j < kSums; ++j) sum[j] = hn::MulAdd(sum[j], half, quarter);
  }
#pragma GCC unroll 14
  for (size_t j = 1; j < kSums; ++j) sum[0] = hn::Add(sum[0], sum[j]);
  *out = hn::GetLane(sum[0]);
  return rounds * kSums * hn::Lanes(d) * 2;
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
namespace {
volatile float sink;  // so that the compiler keeps the work
}  // namespace

HWY_EXPORT(F32);

size_t F32Work(size_t rounds) noexcept {
  float out;
  const size_t operations = HWY_DYNAMIC_DISPATCH(F32)(rounds, &out);
  sink = out;
  return operations;
}

}  // namespace linnet
#endif  // HWY_ONCE
