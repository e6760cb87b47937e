#include "kernels/wkv.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/wkv.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// One token of RWKV-4 for a vector of channels; updates the state.
template <class D, class V>
HWY_INLINE V Step4(D d, V log_w, V u, V k, V v, V& aa, V& bb, V& pp) {
  const V first = hn::Add(u, k);
  const V p = hn::Max(pp, first);
  const V old_share = ExpOf(d, hn::Sub(pp, p)), new_share = ExpOf(d, hn::Sub(first, p));
  const V y = hn::Div(hn::MulAdd(old_share, aa, hn::Mul(new_share, v)),
                      hn::MulAdd(old_share, bb, new_share));
  const V decayed = hn::Add(pp, log_w);
  pp = hn::Max(decayed, k);
  const V keep = ExpOf(d, hn::Sub(decayed, pp)), add = ExpOf(d, hn::Sub(k, pp));
  aa = hn::MulAdd(keep, aa, hn::Mul(add, v));
  bb = hn::MulAdd(keep, bb, add);
  return y;
}

void Rwkv4(const float* log_w, const float* u, const Mat<const float>& k, const Mat<const float>& v,
           float* aa, float* bb, float* pp, const Mat<float>& y) {
  const hn::ScalableTag<float> d;
  const size_t lanes = hn::Lanes(d);
  for (size_t c = 0; c < y.cols; c += lanes) {
    const size_t count = y.cols - c;
    const bool whole = count >= lanes;
    const auto load = [&](const float* x) HWY_ATTR {
      return whole ? hn::LoadU(d, x + c) : LoadPartial(d, x + c, count, 0.0f);
    };
    const auto store = [&](hn::Vec<decltype(d)> x, float* to) HWY_ATTR {
      if (whole) return hn::StoreU(x, d, to + c);
      StorePartial(x, d, to + c, count);
    };
    const auto w_c = load(log_w), u_c = load(u);
    auto aa_c = load(aa), bb_c = load(bb), pp_c = load(pp);
    for (size_t t = 0; t < y.rows; ++t) {
      store(Step4(d, w_c, u_c, load(k.Row(t)), load(v.Row(t)), aa_c, bb_c, pp_c), y.Row(t));
    }
    store(aa_c, aa);
    store(bb_c, bb);
    store(pp_c, pp);
  }
}

// Below, a block is kVectors vectors of values i of one head: its columns of the state are read
// over keys j, rows of n floats apart, with the sums over j in registers. Every value accumulates
// over j in order in its own lane, so neither the width of a block nor the split into calls changes
// the bits.
template <class V, size_t kVectors>
HWY_INLINE void SetZero(V (&v)[kVectors]) {
  HWY_UNROLL(8)
  for (size_t i = 0; i < kVectors; ++i) v[i] = hn::Zero(hn::DFromV<V>());
}

template <class V, size_t kVectors>
HWY_INLINE void LoadAll(const float* x, V (&v)[kVectors]) {
  const hn::DFromV<V> d;
  HWY_UNROLL(8)
  for (size_t i = 0; i < kVectors; ++i) v[i] = hn::LoadU(d, x + i * hn::MaxLanes(d));
}

template <class V, size_t kVectors>
HWY_INLINE void StoreAll(const V (&v)[kVectors], float* y) {
  const hn::DFromV<V> d;
  HWY_UNROLL(8)
  for (size_t i = 0; i < kVectors; ++i) hn::StoreU(v[i], d, y + i * hn::MaxLanes(d));
}

template <class D, size_t kVectors>
HWY_INLINE void Columns6(const Wkv6Rows& in, size_t tokens, size_t n, size_t at, float* state,
                         float* y, size_t y_stride) {
  const D d;
  for (size_t t = 0; t < tokens; ++t) {
    const float *r = in.r.Row(t), *w = in.w.Row(t), *k = in.k.Row(t);
    hn::Vec<D> sum[kVectors], value[kVectors];
    SetZero(sum);
    LoadAll(in.v.Row(t) + at, value);
    for (size_t j = 0; j < n; ++j) {
      float* row = state + j * n + at;
      const auto r_j = hn::Set(d, r[j]), w_j = hn::Set(d, w[j]), u_j = hn::Set(d, in.u[j]);
      const auto k_j = hn::Set(d, k[j]);
      HWY_UNROLL(8)
      for (size_t i = 0; i < kVectors; ++i) {
        const auto s = hn::LoadU(d, row + i * hn::MaxLanes(d));
        const auto kv = hn::Mul(k_j, value[i]);
        sum[i] = hn::MulAdd(r_j, hn::MulAdd(u_j, kv, s), sum[i]);
        hn::StoreU(hn::MulAdd(w_j, s, kv), d, row + i * hn::MaxLanes(d));
      }
    }
    StoreAll(sum, y + t * y_stride + at);
  }
}

// Rows of a head are far apart, where the hardware prefetcher does not help.
constexpr size_t kAheadTokens = 4;

HWY_INLINE void PrefetchRow(const float* row, size_t n) {
  for (size_t i = 0; i < n; i += 16) __builtin_prefetch(row + i, 0, 3);
}

template <class D, size_t kVectors>
HWY_INLINE void Columns7(const Wkv7Rows& in, size_t tokens, size_t n, size_t at, float* state,
                         float* y, size_t y_stride) {
  const D d;
  hn::Vec<D> next[kVectors];  // the sums over a of the next token
  SetZero(next);
  for (size_t j = 0; j < n; ++j) {
    const auto a_j = hn::Set(d, in.a.Row(0)[j]);
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; ++i) {
      next[i] = hn::MulAdd(a_j, hn::LoadU(d, state + j * n + at + i * hn::MaxLanes(d)), next[i]);
    }
  }
  for (size_t t = 0; t < tokens; ++t) {
    const float *r = in.r.Row(t), *w = in.w.Row(t), *k = in.k.Row(t), *b = in.b.Row(t);
    const float* a_next = in.a.Row(t + 1 < tokens ? t + 1 : t);  // not used after the last token
    if (t + kAheadTokens < tokens) {
      const size_t ahead = t + kAheadTokens;
      for (const HeadRows* x : {&in.r, &in.w, &in.k, &in.v, &in.a, &in.b}) {
        PrefetchRow(x->Row(ahead), n);
      }
    }
    hn::Vec<D> sa[kVectors], sum[kVectors], value[kVectors];
    HWY_UNROLL(8)
    for (size_t i = 0; i < kVectors; ++i) sa[i] = next[i];
    SetZero(sum);
    SetZero(next);
    LoadAll(in.v.Row(t) + at, value);
    for (size_t j = 0; j < n; ++j) {
      float* row = state + j * n + at;
      const auto r_j = hn::Set(d, r[j]), w_j = hn::Set(d, w[j]), k_j = hn::Set(d, k[j]);
      const auto b_j = hn::Set(d, b[j]), a_j = hn::Set(d, a_next[j]);
      HWY_UNROLL(8)
      for (size_t i = 0; i < kVectors; ++i) {
        auto s = hn::Mul(w_j, hn::LoadU(d, row + i * hn::MaxLanes(d)));
        s = hn::MulAdd(k_j, value[i], hn::MulAdd(b_j, sa[i], s));
        sum[i] = hn::MulAdd(r_j, s, sum[i]);
        next[i] = hn::MulAdd(a_j, s, next[i]);
        hn::StoreU(s, d, row + i * hn::MaxLanes(d));
      }
    }
    StoreAll(sum, y + t * y_stride + at);
  }
}

// Blocks as wide as the registers allow, then single vectors, then single lanes.
void Head6(const Wkv6Rows& in, size_t tokens, size_t n, float* state, float* y, size_t stride) {
  using D = hn::ScalableTag<float>;
  constexpr size_t kLanes = hn::MaxLanes(D()), kWide = HWY_TARGET == HWY_AVX3 ? 4 : 2;
  size_t at = 0;
  for (; at + kWide * kLanes <= n; at += kWide * kLanes) {
    Columns6<D, kWide>(in, tokens, n, at, state, y, stride);
  }
  for (; at + kLanes <= n; at += kLanes) Columns6<D, 1>(in, tokens, n, at, state, y, stride);
  for (; at < n; ++at) Columns6<hn::CappedTag<float, 1>, 1>(in, tokens, n, at, state, y, stride);
}

void Head7(const Wkv7Rows& in, size_t tokens, size_t n, float* state, float* y, size_t stride) {
  using D = hn::ScalableTag<float>;
  constexpr size_t kLanes = hn::MaxLanes(D()), kWide = HWY_TARGET == HWY_AVX3 ? 4 : 2;
  size_t at = 0;
  for (; at + kWide * kLanes <= n; at += kWide * kLanes) {
    Columns7<D, kWide>(in, tokens, n, at, state, y, stride);
  }
  for (; at + kLanes <= n; at += kLanes) Columns7<D, 1>(in, tokens, n, at, state, y, stride);
  for (; at < n; ++at) Columns7<hn::CappedTag<float, 1>, 1>(in, tokens, n, at, state, y, stride);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(Rwkv4);
HWY_EXPORT(Head6);
HWY_EXPORT(Head7);

void Wkv4(const float* log_w, const float* u, Mat<const float> k, Mat<const float> v, float* aa,
          float* bb, float* pp, Mat<float> y) noexcept {
  HWY_DYNAMIC_DISPATCH(Rwkv4)(log_w, u, k, v, aa, bb, pp, y);
}

void Wkv6Head(const Wkv6Rows& in, size_t tokens, size_t n, float* state, float* y,
              size_t y_stride) noexcept {
  HWY_DYNAMIC_DISPATCH(Head6)(in, tokens, n, state, y, y_stride);
}

void Wkv7Head(const Wkv7Rows& in, size_t tokens, size_t n, float* state, float* y,
              size_t y_stride) noexcept {
  HWY_DYNAMIC_DISPATCH(Head7)(in, tokens, n, state, y, y_stride);
}

}  // namespace linnet
#endif  // HWY_ONCE
