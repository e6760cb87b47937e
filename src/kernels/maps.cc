#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/maps.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/math-inl.h"
#include "kernels/rows.h"

#ifndef LINNET_KERNELS_MAPS_CC_
#define LINNET_KERNELS_MAPS_CC_
namespace linnet {
namespace {
enum class Unary {
  kOneMinus,
  kSigmoid,
  kTanh,
  kSilu,
  kExp,
  kReluSquared,
  kExpNegExp,
  kNegExp,
  kWkv7Decay
};
enum class Binary { kAdd, kSub, kMul };
}  // namespace
}  // namespace linnet
#endif  // LINNET_KERNELS_MAPS_CC_

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// Functors, not lambdas: a lambda does not inherit the target attribute of the enclosing function.
template <Unary kOp>
struct UnaryOf {
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    if constexpr (kOp == Unary::kOneMinus) return hn::Sub(hn::Set(d, 1.0f), x);
    if constexpr (kOp == Unary::kSigmoid) return SigmoidOf(d, x);
    if constexpr (kOp == Unary::kTanh) return hn::Tanh(d, x);
    if constexpr (kOp == Unary::kSilu) return hn::Mul(x, SigmoidOf(d, x));
    if constexpr (kOp == Unary::kExp) return ExpOf(d, x);
    if constexpr (kOp == Unary::kReluSquared) {
      const V positive = hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x);
      return hn::Mul(positive, positive);
    }
    if constexpr (kOp == Unary::kExpNegExp) return ExpNegExpOf(d, x);
    if constexpr (kOp == Unary::kNegExp) return hn::Neg(ExpOf(d, x));
    if constexpr (kOp == Unary::kWkv7Decay) {
      return ExpOf(d, hn::Mul(hn::Set(d, -0.60653065971f), SigmoidOf(d, x)));  // -e^(-1/2)
    }
  }
};

template <Binary kOp>
struct BinaryOf {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V a, V b) const {
    if constexpr (kOp == Binary::kAdd) return hn::Add(a, b);
    if constexpr (kOp == Binary::kSub) return hn::Sub(a, b);
    if constexpr (kOp == Binary::kMul) return hn::Mul(a, b);
  }
};

struct LerpOf {
  template <class D, class V>
  HWY_INLINE V operator()(D /*d*/, V x, V difference, V mu) const {
    return hn::MulAdd(difference, mu, x);
  }
};

struct ScaleOf {
  float c;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x) const {
    return hn::Mul(hn::Set(d, c), x);
  }
};

struct AddScaledOf {
  float c;
  template <class D, class V>
  HWY_INLINE V operator()(D d, V x, V y) const {
    return hn::MulAdd(hn::Set(d, c), x, y);
  }
};

void MapUnary(Unary op, const float* x, size_t n, float* y) {
  switch (op) {
    case Unary::kOneMinus:
      return MapRow(x, n, y, UnaryOf<Unary::kOneMinus>());
    case Unary::kSigmoid:
      return MapRow(x, n, y, UnaryOf<Unary::kSigmoid>());
    case Unary::kTanh:
      return MapRow(x, n, y, UnaryOf<Unary::kTanh>());
    case Unary::kSilu:
      return MapRow(x, n, y, UnaryOf<Unary::kSilu>());
    case Unary::kExp:
      return MapRow(x, n, y, UnaryOf<Unary::kExp>());
    case Unary::kReluSquared:
      return MapRow(x, n, y, UnaryOf<Unary::kReluSquared>());
    case Unary::kExpNegExp:
      return MapRow(x, n, y, UnaryOf<Unary::kExpNegExp>());
    case Unary::kNegExp:
      return MapRow(x, n, y, UnaryOf<Unary::kNegExp>());
    case Unary::kWkv7Decay:
      return MapRow(x, n, y, UnaryOf<Unary::kWkv7Decay>());
  }
}

void MapBinary(Binary op, const float* a, const float* b, size_t n, float* y) {
  switch (op) {
    case Binary::kAdd:
      return MapRow(a, b, n, y, BinaryOf<Binary::kAdd>());
    case Binary::kSub:
      return MapRow(a, b, n, y, BinaryOf<Binary::kSub>());
    case Binary::kMul:
      return MapRow(a, b, n, y, BinaryOf<Binary::kMul>());
  }
}

void Lerp(const float* x, const float* d, const float* mu, size_t n, float* y) {
  MapRow(x, d, mu, n, y, LerpOf());
}

void Scale(const float* a, float c, size_t n, float* y) { MapRow(a, n, y, ScaleOf{c}); }

void AddScaled(const float* a, float c, size_t n, float* y) { MapRow(a, y, n, y, AddScaledOf{c}); }

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(MapUnary);
HWY_EXPORT(MapBinary);
HWY_EXPORT(Lerp);
HWY_EXPORT(Scale);
HWY_EXPORT(AddScaled);

namespace {
void Map(Unary op, const float* x, size_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(MapUnary)(op, x, n, y);
}
void Map(Binary op, const float* a, const float* b, size_t n, float* y) {
  HWY_DYNAMIC_DISPATCH(MapBinary)(op, a, b, n, y);
}
}  // namespace

void AddRow(const float* a, const float* b, size_t n, float* y) noexcept {
  Map(Binary::kAdd, a, b, n, y);
}
void SubRow(const float* a, const float* b, size_t n, float* y) noexcept {
  Map(Binary::kSub, a, b, n, y);
}
void MulRow(const float* a, const float* b, size_t n, float* y) noexcept {
  Map(Binary::kMul, a, b, n, y);
}
void LerpRow(const float* x, const float* d, const float* mu, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Lerp)(x, d, mu, n, y);
}
void ScaleRow(const float* a, float c, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(Scale)(a, c, n, y);
}
void AddScaledRow(const float* a, float c, size_t n, float* y) noexcept {
  HWY_DYNAMIC_DISPATCH(AddScaled)(a, c, n, y);
}
void OneMinusRow(const float* a, size_t n, float* y) noexcept { Map(Unary::kOneMinus, a, n, y); }
void SigmoidRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kSigmoid, x, n, y); }
void TanhRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kTanh, x, n, y); }
void SiluRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kSilu, x, n, y); }
void ExpRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kExp, x, n, y); }
void ReluSquaredRow(const float* x, size_t n, float* y) noexcept {
  Map(Unary::kReluSquared, x, n, y);
}
void ExpNegExpRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kExpNegExp, x, n, y); }
void NegExpRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kNegExp, x, n, y); }
void Wkv7DecayRow(const float* x, size_t n, float* y) noexcept { Map(Unary::kWkv7Decay, x, n, y); }

}  // namespace linnet
#endif  // HWY_ONCE
