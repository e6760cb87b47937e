#include "kernels/wkv_back.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/wkv4_back.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>

#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "kernels/map-inl.h"

// The two passes of RWKV-4's CUDA backward (RWKV-LM, wkv_cuda.cu) with an initial and a final
// state; in double, since exponents of both signs occur.

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using DD = hn::ScalableTag<double>;
using DF = hn::Rebind<float, DD>;
using VD = hn::Vec<DD>;

// Exponents here are at most 0 up to rounding; hn::Exp needs them not too far below.
HWY_INLINE VD ExpOfNegative(VD x) {
  const DD d;
  return hn::Exp(d, hn::Max(x, hn::Set(d, -800.0)));
}

class Channels4 {
 public:
  Channels4(const Wkv4Rows& in, size_t c, size_t count) : in_(in), c_(c), count_(count) {}

  void Back(const Wkv4Gradients& to, double* scratch) const {
    const DD d;
    const size_t lanes = hn::Lanes(d), tokens = in_.k.rows;
    double *Q = scratch, *R = scratch + tokens * lanes;
    const VD w = From(in_.log_w), u = From(in_.u);
    VD aa = From(in_.aa), bb = From(in_.bb), pp = From(in_.pp);
    VD ga = hn::Zero(d), gb = ga, gw = ga, gu = ga;
    for (size_t t = 0; t < tokens; ++t) {
      const VD k = From(in_.k.Row(t)), v = From(in_.v.Row(t));
      const VD first = hn::Add(u, k);
      VD q = hn::Max(pp, first);
      VD e1 = ExpOfNegative(hn::Sub(pp, q)), e2 = ExpOfNegative(hn::Sub(first, q));
      const VD total = hn::MulAdd(e1, bb, e2);
      const VD y = hn::Div(hn::MulAdd(e1, aa, hn::Mul(e2, v)), total);
      const VD share = hn::Div(From(in_.dy.Row(t)), total);
      gw = hn::MulAdd(hn::NegMulAdd(gb, y, ga), hn::Mul(e1, share), gw);
      gu = hn::MulAdd(hn::Sub(v, y), hn::Mul(e2, share), gu);
      hn::StoreU(share, d, Q + t * lanes);
      hn::StoreU(hn::Sub(first, q), d, R + t * lanes);
      const VD decayed = hn::Add(pp, w);
      q = hn::Max(decayed, k);
      e1 = ExpOfNegative(hn::Sub(decayed, q));
      e2 = ExpOfNegative(hn::Sub(k, q));
      ga = hn::Mul(e1, hn::Add(aa, ga));
      gb = hn::Mul(e1, hn::Add(bb, gb));
      aa = hn::MulAdd(e1, aa, hn::Mul(e2, v));
      bb = hn::MulAdd(e1, bb, e2);
      pp = q;
    }
    // From here on aa e^pp and bb e^pp are the gradients of the state's two sums.
    const bool carried = to.aa != nullptr;
    if (carried) {
      const VD end = pp;
      aa = From(to.aa);
      bb = From(to.bb);
      pp = hn::Neg(From(in_.end_pp));
      // ga e^end and gb e^end are the derivatives of the last sums with respect to w.
      const VD slope = hn::MulAdd(aa, ga, hn::Mul(bb, gb));
      gw = hn::MulAdd(hn::Exp(d, hn::Add(end, pp)), slope, gw);
    } else {
      aa = bb = hn::Zero(d);
      pp = hn::Set(d, -1e38);  // the exponent of an empty sum
    }
    AddTo(gw, to.log_w);
    AddTo(gu, to.u);
    for (size_t t = tokens; t-- > 0;) {
      const VD k = From(in_.k.Row(t)), v = From(in_.v.Row(t)), y = From(in_.y.Row(t));
      const VD share = hn::LoadU(d, Q + t * lanes), r = hn::LoadU(d, R + t * lanes);
      // pp is minus the exponent of a later token's sums, which included this k.
      VD e1 = hn::Mul(share, ExpOfNegative(r)), e2 = ExpOfNegative(hn::Add(k, pp));
      AddTo(hn::MulAdd(e1, hn::Sub(v, y), hn::Mul(e2, hn::MulAdd(aa, v, bb))), to.k.Row(t));
      AddTo(hn::MulAdd(e2, aa, e1), to.v.Row(t));
      const VD old = hn::Add(pp, w), own = hn::Sub(hn::Sub(r, u), k), q = hn::Max(old, own);
      e1 = ExpOfNegative(hn::Sub(old, q));
      e2 = hn::Mul(share, ExpOfNegative(hn::Sub(own, q)));
      aa = hn::MulAdd(e1, aa, e2);
      bb = hn::NegMulAdd(e2, y, hn::Mul(e1, bb));
      pp = q;
    }
    if (!carried) return;
    const VD scale = ExpOfNegative(hn::Add(pp, From(in_.pp)));
    Put(hn::Mul(aa, scale), to.aa);
    Put(hn::Mul(bb, scale), to.bb);
  }

 private:
  HWY_INLINE VD From(const float* row) const {
    const DD d;
    const DF f;
    if (count_ == hn::Lanes(d)) return hn::PromoteTo(d, hn::LoadU(f, row + c_));
    return hn::PromoteTo(d, LoadPartial(f, row + c_, count_, 0.0f));
  }

  HWY_INLINE void Put(VD x, float* row) const {
    const DF f;
    const auto value = hn::DemoteTo(f, x);
    if (count_ == hn::Lanes(DD())) return hn::StoreU(value, f, row + c_);
    StorePartial(value, f, row + c_, count_);
  }

  HWY_INLINE void AddTo(VD x, float* row) const { Put(hn::Add(From(row), x), row); }

  const Wkv4Rows& in_;
  const size_t c_, count_;
};

void Back4(const Wkv4Rows& in, const Wkv4Gradients& to, double* scratch) {
  const size_t lanes = hn::Lanes(DD());
  for (size_t c = 0; c < in.k.cols; c += lanes) {
    Channels4(in, c, std::min(lanes, in.k.cols - c)).Back(to, scratch);
  }
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Back4);

size_t Wkv4BackDoubles(size_t tokens) { return 2 * 8 * tokens; }

void Wkv4Back(const Wkv4Rows& in, const Wkv4Gradients& to, double* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(Back4)(in, to, scratch);
}

}  // namespace linnet
#endif  // HWY_ONCE
