#include "kernels/wkv_back.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/wkv6_back.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/products-inl.h"

// S and D = dS are [key][value]. A decay may be as small as exp(-400), so nothing is divided by
// one: with w(i, j) the product of the decays of the tokens strictly between i and j, `pre` that of
// all before a token in the chunk, `suf` that of all after it, G of all,
//   A_ij = sum of r_i k_j w(i, j) for j < i, A_ii = sum of r u k
//   y = A V + (r pre) S;  S' = G S + (k suf)^T V
// and back:
//   dA = dy V^T;  dV = A^T dy + (k suf) D
//   dr_i = pre_i (dy S^T)_i + sum over j < i of dA_ij k_j w(i, j)
//   dk_j = suf_j (V D^T)_j + sum over i > j of dA_ij r_i w(i, j)
//   D = G D + (r pre)^T dy
// and the diagonal's term by u. The gradient of a decay is that of all values it multiplies: from
// the chunk's end backwards it is S' D, then - k dk of each token, which is dw w of that token,
// then + r dr.

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

constexpr size_t kChunk6 = kSide;  // pairs of tokens are summed one by one

struct ScaleRowsAddSum {  // c = scale[row] c + sum
  float* c;
  size_t stride;
  const float* scale;
  template <class D>
  HWY_INLINE hn::Vec<D> first(D d, size_t row, size_t col) const {
    return hn::Mul(hn::Set(d, scale[row]), hn::Load(d, c + row * stride + col));
  }
  template <class D>
  HWY_INLINE void last(D d, size_t row, size_t col, hn::Vec<D> sum) const {
    hn::Store(sum, d, c + row * stride + col);
  }
};

class Back6 {
 public:
  Back6(const Wkv6Rows& in, HeadRows dy, size_t tokens, size_t n, const Wkv6Gradients& to,
        float* scratch)
      : in_(in), dy_(dy), to_(to), tokens_(tokens), n_(n), P((n + kSide - 1) / kSide * kSide) {
    for (float** m :
         {&r_, &k_, &w_, &v_, &gy_, &pre_, &suf_, &r_pre_, &k_suf_, &dr_, &dk_, &dv_, &v_t_}) {
      *m = scratch;
      scratch += L * P;
    }
    for (float** m : {&A_, &dA_}) {
      *m = scratch;
      scratch += L * L;
    }
    for (float** m : {&D_, &S_t_, &D_t_}) {
      *m = scratch;
      scratch += P * P;
    }
    for (float** m : {&G_, &flow_, &between_, &u_}) {
      *m = scratch;
      scratch += P;
    }
    saved_ = scratch;
  }

  void Run(const float* state, float* dstate) const {
    const Lanes d;
    for (size_t at = 0; at < P; at += hn::Lanes(d)) hn::Store(From(in_.u, at, 0), d, u_ + at);
    const size_t chunks = (tokens_ + L - 1) / L;
    Pad(state, saved_);
    for (size_t i = 0; i + 1 < chunks; ++i) {
      Load(i);
      float* next = saved_ + (i + 1) * P * P;
      std::memcpy(next, next - P * P, P * P * sizeof(float));
      SmallProduct(P, P, {ProductTerm{k_suf_, 1, P, v_, P, L}}, ScaleRowsAddSum{next, P, G_});
    }
    Pad(dstate, D_);
    for (size_t i = chunks; i-- > 0;) {
      Load(i);
      Backward(saved_ + i * P * P);
      Collect(i);
    }
    for (size_t j = 0; j < n_; ++j) std::memcpy(dstate + j * n_, D_ + j * P, n_ * sizeof(float));
  }

 private:
  using Lanes = hn::ScalableTag<float>;
  static constexpr size_t L = kChunk6;

  void Pad(const float* from, float* to) const {
    std::fill_n(to, P * P, 0.0f);
    for (size_t j = 0; j < n_; ++j) std::memcpy(to + j * P, from + j * n_, n_ * sizeof(float));
  }

  HWY_INLINE hn::Vec<Lanes> From(const float* row, size_t at, float pad) const {
    const Lanes d;
    if (at + hn::Lanes(d) <= n_) return hn::LoadU(d, row + at);
    return LoadPartial(d, row + std::min(at, n_), n_ - std::min(at, n_), pad);
  }

  // The rows of chunk i; rows beyond the end do not change the state.
  void Load(size_t i) const {
    const Lanes d;
    const size_t begin = i * L, count = std::min(L, tokens_ - begin);
    for (size_t at = 0; at < P; at += hn::Lanes(d)) {
      auto decay = hn::Set(d, 1.0f);
      for (size_t t = 0; t < L; ++t) {
        const size_t to = t * P + at;
        const bool real = t < count;
        const auto row = [&](const HeadRows& x, float pad) HWY_ATTR {
          return real ? From(x.Row(begin + t), at, pad) : hn::Set(d, pad);
        };
        const auto r = row(in_.r, 0), w = row(in_.w, 1);
        hn::Store(r, d, r_ + to);
        hn::Store(row(in_.k, 0), d, k_ + to);
        hn::Store(w, d, w_ + to);
        hn::Store(row(in_.v, 0), d, v_ + to);
        hn::Store(row(dy_, 0), d, gy_ + to);
        hn::Store(decay, d, pre_ + to);
        hn::Store(hn::Mul(r, decay), d, r_pre_ + to);
        decay = hn::Mul(decay, w);
      }
      hn::Store(decay, d, G_ + at);
      decay = hn::Set(d, 1.0f);
      for (size_t t = L; t-- > 0;) {
        const size_t to = t * P + at;
        hn::Store(decay, d, suf_ + to);
        hn::Store(hn::Mul(hn::Load(d, k_ + to), decay), d, k_suf_ + to);
        decay = hn::Mul(decay, hn::Load(d, w_ + to));
      }
    }
  }

  void Backward(const float* S) const {
    TransposeTo(v_, P, L, P, v_t_, L);
    TransposeTo(S, P, P, P, S_t_, P);
    TransposeTo(D_, P, P, P, D_t_, P);
    SmallProduct(L, L, {ProductTerm{gy_, P, 1, v_t_, L, P}}, PutSum{dA_, L});
    SmallProduct(L, P, {ProductTerm{gy_, P, 1, S_t_, P, P}}, ScaledSum<false>{dr_, P, pre_});
    SmallProduct(L, P, {ProductTerm{v_, P, 1, D_t_, P, P}}, ScaledSum<false>{dk_, P, suf_});
    FlowAtEnd();
    Pairs();
    SmallProduct(L, P, {ProductTerm{A_, 1, L, gy_, P, L}, ProductTerm{k_suf_, P, 1, D_, P, P}},
                 PutSum{dv_, P});
    SmallProduct(P, P, {ProductTerm{r_pre_, 1, P, gy_, P, L}}, ScaleRowsAddSum{D_, P, G_});
  }

  // The sum over values of S' D at the end of the chunk.
  void FlowAtEnd() const {
    const Lanes d;
    for (size_t at = 0; at < P; at += hn::Lanes(d)) {
      auto sum = hn::Zero(d);
      for (size_t v = at; v < P * P; v += P) {
        sum = hn::MulAdd(hn::Load(d, S_t_ + v), hn::Load(d, D_t_ + v), sum);
      }
      sum = hn::Mul(sum, hn::Load(d, G_ + at));
      for (size_t t = at; t < L * P; t += P) {
        sum = hn::MulAdd(hn::Load(d, k_ + t), hn::Load(d, dk_ + t), sum);
      }
      hn::Store(sum, d, flow_ + at);
    }
  }

  // A, and the terms of dr and dk from pairs of tokens in the chunk.
  void Pairs() const {
    const Lanes d;
    std::fill_n(A_, L * L, 0.0f);
    for (size_t j = 0; j < L; ++j) {
      const float* k = k_ + j * P;
      auto own = hn::Zero(d);
      for (size_t at = 0; at < P; at += hn::Lanes(d)) {
        const auto ru = hn::Mul(hn::Load(d, r_ + j * P + at), hn::Load(d, u_ + at));
        own = hn::MulAdd(ru, hn::Load(d, k + at), own);
        hn::Store(hn::Set(d, 1.0f), d, between_ + at);
      }
      A_[j * L + j] = hn::GetLane(hn::SumOfLanes(d, own));
      for (size_t i = j + 1; i < L; ++i) {
        const auto slope = hn::Set(d, dA_[i * L + j]);
        auto sum = hn::Zero(d);
        for (size_t at = 0; at < P; at += hn::Lanes(d)) {
          const auto between = hn::Load(d, between_ + at);
          const auto r = hn::Mul(hn::Load(d, r_ + i * P + at), between);
          const auto kept = hn::Mul(hn::Load(d, k + at), between);
          sum = hn::MulAdd(r, hn::Load(d, k + at), sum);
          Accumulate(d, slope, kept, dr_ + i * P + at);
          Accumulate(d, slope, r, dk_ + j * P + at);
          hn::Store(hn::Mul(between, hn::Load(d, w_ + i * P + at)), d, between_ + at);
        }
        A_[i * L + j] = hn::GetLane(hn::SumOfLanes(d, sum));
      }
    }
  }

  void Collect(size_t i) const {
    const Lanes d;
    const size_t begin = i * L, count = std::min(L, tokens_ - begin);
    // Below this, what a decay multiplies is only rounding errors, and the gradient of its
    // logarithm, w times this one, is 0.
    const auto least = hn::Set(d, 1e-20f);
    for (size_t at = 0; at < n_; at += hn::Lanes(d)) {
      auto flow = hn::Load(d, flow_ + at);
      const auto u = hn::Load(d, u_ + at);
      for (size_t t = count; t-- > 0;) {
        const size_t from = t * P + at;
        const auto r = hn::Load(d, r_ + from), k = hn::Load(d, k_ + from);
        const auto w = hn::Load(d, w_ + from), own = hn::Set(d, dA_[t * L + t]);
        const auto dr = hn::Load(d, dr_ + from), dk = hn::Load(d, dk_ + from);
        flow = hn::NegMulAdd(k, dk, flow);
        const auto dw = hn::IfThenElseZero(hn::Gt(w, least), hn::Div(flow, w));
        flow = hn::MulAdd(r, dr, flow);
        AddTo(hn::MulAdd(own, hn::Mul(u, k), dr), to_.r.Row(begin + t), at);
        AddTo(dw, to_.w.Row(begin + t), at);
        AddTo(hn::MulAdd(own, hn::Mul(u, r), dk), to_.k.Row(begin + t), at);
        AddTo(hn::Load(d, dv_ + from), to_.v.Row(begin + t), at);
        AddTo(hn::Mul(own, hn::Mul(r, k)), to_.u, at);
      }
    }
  }

  HWY_INLINE void AddTo(hn::Vec<Lanes> x, float* row, size_t at) const {
    const Lanes d;
    const auto sum = hn::Add(From(row, at, 0.0f), x);
    if (at + hn::Lanes(d) <= n_) return hn::StoreU(sum, d, row + at);
    StorePartial(sum, d, row + at, n_ - at);
  }

  const Wkv6Rows& in_;
  const HeadRows dy_;
  const Wkv6Gradients& to_;
  const size_t tokens_, n_, P;                                                       // P: n padded
  float *r_, *k_, *w_, *v_, *gy_, *pre_, *suf_, *r_pre_, *k_suf_, *dr_, *dk_, *dv_;  // [L, P]
  float* v_t_;                                                                       // [P, L]
  float *A_, *dA_;                                                                   // [L, L]
  float *D_, *S_t_, *D_t_;                                                           // [P, P]
  float *G_, *flow_, *between_, *u_;                                                 // [P]
  float* saved_;  // the states at the chunks' starts
};

void HeadBack6(const Wkv6Rows& in, const HeadRows& dy, size_t tokens, size_t n, const float* state,
               float* dstate, const Wkv6Gradients& to, float* scratch) {
  Back6(in, dy, tokens, n, to, scratch).Run(state, dstate);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(HeadBack6);

size_t Wkv6BackFloats(size_t tokens, size_t n) {
  const size_t P = (n + 15) / 16 * 16, L = 16, chunks = (tokens + L - 1) / L;
  return 13 * L * P + 2 * L * L + 3 * P * P + 4 * P + chunks * P * P;
}

void Wkv6HeadBack(const Wkv6Rows& in, HeadRows dy, size_t tokens, size_t n, const float* state,
                  float* dstate, const Wkv6Gradients& to, float* scratch) noexcept {
  HWY_DYNAMIC_DISPATCH(HeadBack6)(in, dy, tokens, n, state, dstate, to, scratch);
}

}  // namespace linnet
#endif  // HWY_ONCE
