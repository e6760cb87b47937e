#include "kernels/int8_rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/int8_rows.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <bit>
#include <cstring>
#include <limits>

#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using DI = hn::RebindToSigned<D>;
constexpr size_t kLanes = hn::MaxLanes(D());
static_assert(kBlockInputs % kLanes == 0);

Int8Block RoundBlock(const float* x, int8_t* q) {
  const D d;
  const DI di;
  // As integers, the bits of magnitudes sort like the values, infinities and NaN above all.
  const auto magnitude = hn::Set(di, 0x7fffffff);
  auto largest = hn::Zero(di);
  for (size_t i = 0; i < kBlockInputs; i += kLanes) {
    largest = hn::Max(largest, hn::And(hn::BitCast(di, hn::LoadU(d, x + i)), magnitude));
  }
  float size = std::bit_cast<float>(hn::GetLane(hn::MaxOfLanes(di, largest)));
  if (!(size <= std::numeric_limits<float>::max())) {
    std::memset(q, 0, kBlockInputs);
    return {std::numeric_limits<float>::quiet_NaN(), 0};
  }
  // Below this, 127 / size would be infinite.
  if (size < 0x1p-100f) size = 0;
  const auto inverse = hn::Set(d, size == 0 ? 0.0f : 127.0f / size);
  const hn::Rebind<int8_t, D> d8;
  auto sum = hn::Zero(di);
  for (size_t i = 0; i < kBlockInputs; i += kLanes) {
    const auto rounded = hn::NearestInt(hn::Mul(hn::LoadU(d, x + i), inverse));
    sum = hn::Add(sum, rounded);
    hn::StoreU(hn::DemoteTo(d8, rounded), d8, q + i);
  }
  return {size * (1.0f / (127 * 127)), -128 * hn::GetLane(hn::SumOfLanes(di, sum))};
}

void Rows(Mat<const float> x, std::byte* out, size_t stride) {
  const size_t whole = x.cols / kBlockInputs, rest = x.cols % kBlockInputs;
  for (size_t row = 0; row < x.rows; ++row, out += stride) {
    const float* from = x.Row(row);
    auto* q = reinterpret_cast<int8_t*>(out);
    auto* blocks = reinterpret_cast<Int8Block*>(out + Blocks(x.cols) * kBlockInputs);
    for (size_t i = 0; i < whole; ++i) {
      blocks[i] = RoundBlock(from + i * kBlockInputs, q + i * kBlockInputs);
    }
    if (rest == 0) continue;
    HWY_ALIGN float padded[kBlockInputs] = {};
    std::memcpy(padded, from + whole * kBlockInputs, rest * sizeof(float));
    blocks[whole] = RoundBlock(padded, q + whole * kBlockInputs);
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Rows);

void Int8Rows(Mat<const float> x, std::byte* out, size_t stride) noexcept {
  HWY_DYNAMIC_DISPATCH(Rows)(x, out, stride);
}

}  // namespace linnet
#endif  // HWY_ONCE
