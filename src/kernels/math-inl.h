// Elementary functions on vectors: NaN stays NaN, and every input has a defined result.
#if defined(LINNET_KERNELS_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LINNET_KERNELS_MATH_INL_H_
#undef LINNET_KERNELS_MATH_INL_H_
#else
#define LINNET_KERNELS_MATH_INL_H_
#endif

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// hn::Exp gives 0 for NaN and is undefined above 104, where the result is infinite.
template <class D, class V>
HWY_INLINE V ExpOf(D d, V x) {
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, hn::Min(x, hn::Set(d, 104.0f))));
}

// From exp(-|x|), which never overflows: 1 / (1 + e) or e / (1 + e).
template <class D, class V>
HWY_INLINE V SigmoidOf(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V e = hn::Exp(d, hn::Neg(hn::Abs(x)));
  const V top = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Div(top, hn::Add(one, e)));
}

// exp(-exp(x)): the outer exp amplifies the relative error of the inner one by the size of its
// argument, so both run in double.
template <class D, class V>
HWY_INLINE V ExpNegExpOf(D d, V x) {
  const hn::ScalableTag<double> dd;
  const hn::Rebind<float, decltype(dd)> dh;
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  hn::Store(hn::Min(x, hn::Set(d, 6.0f)), d, lanes);  // exp(-exp(6)) is 0 already
  for (size_t i = 0; i < hn::Lanes(d); i += hn::Lanes(dd)) {
    const auto inner = hn::Exp(dd, hn::PromoteTo(dd, hn::LoadU(dh, lanes + i)));
    hn::StoreU(hn::DemoteTo(dh, hn::Exp(dd, hn::Neg(inner))), dh, lanes + i);
  }
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Load(d, lanes));
}

}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // LINNET_KERNELS_MATH_INL_H_
