#include "kernels/wkv_back.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/wkv7_back.cc"
#include "kernels/targets.h"
//
#include "hwy/foreach_target.h"  // must come before highway.h
//
#include <algorithm>
#include <cstring>

#include "hwy/highway.h"
#include "kernels/map-inl.h"
#include "kernels/products-inl.h"

// Letters as in RWKV-7's papers; S and D = dS are [key][value]. With G[t] the product of the
// chunk's decays up to and with t, r~ = r G[t], a~ = a G[t-1], k~ = k / G[t], b~ = b / G[t], and
// U the rows (S a):
//   Ab = a~ b~^T, Ak = a~ k~^T below the diagonal; Qb = r~ b~^T, Qk = r~ k~^T with it
//   U = (I - Ab)^-1 (Ak V + a~ S);  y = Qb U + Qk V + r~ S;  S' = G[last] (S + k~^T V + b~^T U)
// and back, with D' = G[last] D:
//   dU = Qb^T dy + b~ D';  Z = (I - Ab)^-T dU;  dV = Qk^T dy + Ak^T Z + k~ D'
//   dAb = Z U^T, dAk = Z V^T, dQb = dy U^T, dQk = dy V^T, in their triangles
//   dr = G[t] (dQk k~ + dQb b~ + dy S^T)           da = G[t-1] (dAb b~ + dAk k~ + Z S^T)
//   dk = (dQk^T r~ + dAk^T a~ + V D'^T) / G[t]     db = (dQb^T r~ + dAb^T a~ + U D'^T) / G[t]
//   D = D' + r~^T dy + a~^T Z
// The gradient of a decay is that of all values it multiplies: from the chunk's end backwards it is
// S' D, then + r dr - k dk - b db of each token, which is dw w of that token, then + a da.

HWY_BEFORE_NAMESPACE();
namespace linnet::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

// The matrices of a chunk. P: n padded; L: tokens of a chunk, padded.
struct Chunk7 {
  float* G;                                 // [L + 1, P]: row t + 1 is G[t], row 0 ones
  float *inverse, *r, *a, *k, *b, *v, *dy;  // [L, P], with the decays
  float *Z, *dr, *da, *dk, *db, *dv;
  float* right;          // [P, 2 L]: [b~^T | k~^T]
  float* right_v;        // [P, 2 L]: [U^T | V^T]
  float *Q, *dA;         // [L, 2 L]: [Qb | Qk], then [dQb | dQk]; [dAb | dAk]
  float *D, *S_t, *D_t;  // [P, P]
  float* flow;           // [P]
};

class Back7 {
 public:
  Back7(const Wkv7Rows& in, HeadRows dy, size_t tokens, size_t n, const Wkv7Gradients& to,
        size_t chunk, float* scratch)
      : in_(in), dy_(dy), to_(to), tokens_(tokens), n_(n), chunk_(chunk) {
    P = (n + kSide - 1) / kSide * kSide;
    L = (chunk + kSide - 1) / kSide * kSide;
    const auto take = [&](size_t floats) {
      float* at = scratch;
      scratch += floats;
      return at;
    };
    c_.G = take((L + 1) * P);
    for (float** m : {&c_.inverse, &c_.r, &c_.a, &c_.k, &c_.b, &c_.v, &c_.dy, &c_.Z, &c_.dr, &c_.da,
                      &c_.dk, &c_.db, &c_.dv}) {
      *m = take(L * P);
    }
    c_.right = take(2 * L * P);
    c_.right_v = take(2 * L * P);
    c_.Q = take(2 * L * L);
    c_.dA = take(2 * L * L);
    for (float** m : {&c_.D, &c_.S_t, &c_.D_t}) *m = take(P * P);
    c_.flow = take(P);
    saved_ = scratch;
  }

  void Run(const float* state, float* dstate) {
    const size_t chunks = (tokens_ + chunk_ - 1) / chunk_;
    Pad(state, SavedS(0));
    for (size_t i = 0; i + 1 < chunks; ++i) {
      Forward(i);
      StateAfter(i);
    }
    Forward(chunks - 1);
    Pad(dstate, c_.D);
    for (size_t i = chunks; i-- > 0;) {
      // The last chunk is still loaded.
      if (i + 1 < chunks) Load(i);
      Backward(i);
    }
    for (size_t j = 0; j < n_; ++j) std::memcpy(dstate + j * n_, c_.D + j * P, n_ * sizeof(float));
  }

 private:
  using Lanes = hn::ScalableTag<float>;

  float* SavedS(size_t i) const { return saved_ + i * (P * P + L * P + 2 * L * L); }
  float* SavedU(size_t i) const { return SavedS(i) + P * P; }
  float* SavedA(size_t i) const { return SavedU(i) + L * P; }

  void Pad(const float* from, float* to) const {
    std::fill_n(to, P * P, 0.0f);
    for (size_t j = 0; j < n_; ++j) std::memcpy(to + j * P, from + j * n_, n_ * sizeof(float));
  }

  static HWY_INLINE hn::Vec<Lanes> From(const float* row, size_t at, size_t n, float pad) {
    const Lanes d;
    if (at + hn::Lanes(d) <= n) return hn::LoadU(d, row + at);
    return LoadPartial(d, row + std::min(at, n), n - std::min(at, n), pad);
  }

  // Reads the rows of chunk i with their decays; rows beyond the end do not change the state. The
  // forward sweep saves S at the start of every chunk, U and [Ab | Ak].
  void Load(size_t i) const {
    const Lanes d;
    const size_t begin = i * chunk_, count = std::min(chunk_, tokens_ - begin);
    for (size_t at = 0; at < P; at += hn::Lanes(d)) {
      auto decay = hn::Set(d, 1.0f);
      hn::Store(decay, d, c_.G + at);
      for (size_t t = 0; t < L; ++t) {
        const size_t to = t * P + at;
        if (t >= count) {
          hn::Store(decay, d, c_.G + to + P);
          for (float* m : {c_.inverse, c_.r, c_.a, c_.k, c_.b, c_.v, c_.dy}) {
            hn::Store(hn::Zero(d), d, m + to);
          }
          continue;
        }
        const auto row = [&](const HeadRows& x)
                             HWY_ATTR { return From(x.Row(begin + t), at, n_, 0.0f); };
        hn::Store(hn::Mul(row(in_.a), decay), d, c_.a + to);
        decay = hn::Mul(decay, From(in_.w.Row(begin + t), at, n_, 1.0f));
        const auto inverse = hn::Div(hn::Set(d, 1.0f), decay);
        hn::Store(decay, d, c_.G + to + P);
        hn::Store(inverse, d, c_.inverse + to);
        hn::Store(hn::Mul(row(in_.r), decay), d, c_.r + to);
        hn::Store(hn::Mul(row(in_.k), inverse), d, c_.k + to);
        hn::Store(hn::Mul(row(in_.b), inverse), d, c_.b + to);
        hn::Store(row(in_.v), d, c_.v + to);
        hn::Store(row(dy_), d, c_.dy + to);
      }
    }
    TransposeTo(c_.b, P, L, P, c_.right, 2 * L);
    TransposeTo(c_.k, P, L, P, c_.right + L, 2 * L);
  }

  // Rows of a head are far apart, where the hardware prefetcher does not help; so the next ones are
  // prefetched, a few at a time: all at once would stall on memory as well. Here: lines of tokens
  // [first, last) of chunk i that exist.
  template <class F>
  HWY_INLINE void ForTokens(size_t i, size_t first, size_t last, const F& visit) const {
    const size_t begin = i * chunk_, end = std::min({begin + last, begin + chunk_, tokens_});
    for (size_t t = begin + first; t < end; ++t) {
      for (size_t at = 0; at < n_; at += 16) visit(t, at);
    }
  }

  // Prefetches what Load will read.
  void FetchRows(size_t i, size_t first, size_t last) const {
    ForTokens(i, first, last, [this](size_t t, size_t at) {
      for (const HeadRows* x : {&in_.r, &in_.w, &in_.k, &in_.v, &in_.a, &in_.b, &dy_}) {
        __builtin_prefetch(x->Row(t) + at, 0, 2);
      }
    });
  }

  // Prefetches where Collect will add.
  void FetchGradients(size_t i, size_t first, size_t last) const {
    ForTokens(i, first, last, [this](size_t t, size_t at) {
      for (const HeadGradients* x : {&to_.r, &to_.w, &to_.k, &to_.v, &to_.a, &to_.b}) {
        __builtin_prefetch(x->Row(t) + at, 1, 2);
      }
    });
  }

  // Loads chunk i and computes its A and U.
  void Forward(size_t i) const {
    Load(i);
    const size_t part = (chunk_ + 2) / 3;
    FetchRows(i + 1, 0, part);
    float *A = SavedA(i), *U = SavedU(i);
    SmallProduct(L, 2 * L, {ProductTerm{c_.a, P, 1, c_.right, 2 * L, P}},
                 PutTriangles<false>{A, 2 * L, L});
    FetchRows(i + 1, part, 2 * part);
    SmallProduct(
        L, P, {ProductTerm{A + L, 2 * L, 1, c_.v, P, L}, ProductTerm{c_.a, P, 1, SavedS(i), P, P}},
        PutSum{U, P});
    FetchRows(i + 1, 2 * part, chunk_);
    SolveUnit<false>(A, 2 * L, L, P, U);
  }

  void StateAfter(size_t i) const {
    float* S = SavedS(i + 1);
    std::memcpy(S, SavedS(i), P * P * sizeof(float));
    SmallProduct(P, P,
                 {ProductTerm{c_.k, 1, P, c_.v, P, L}, ProductTerm{c_.b, 1, P, SavedU(i), P, L}},
                 AddSumScaleRows{S, P, c_.G + L * P});
  }

  void Backward(size_t i) const {
    const float *S = SavedS(i), *U = SavedU(i), *A = SavedA(i);
    const size_t W = 2 * L;
    SmallProduct(L, W, {ProductTerm{c_.r, P, 1, c_.right, W, P}}, PutTriangles<true>{c_.Q, W, L});
    Ahead(i, 0);
    ScaleState(c_.G + L * P);  // D now holds D'
    SmallProduct(L, P, {ProductTerm{c_.Q, 1, W, c_.dy, P, L}, ProductTerm{c_.b, P, 1, c_.D, P, P}},
                 PutSum{c_.Z, P});
    Ahead(i, 1);
    SolveUnit<true>(A, W, L, P, c_.Z);
    SmallProduct(L, P,
                 {ProductTerm{c_.Q + L, 1, W, c_.dy, P, L}, ProductTerm{A + L, 1, W, c_.Z, P, L},
                  ProductTerm{c_.k, P, 1, c_.D, P, P}},
                 PutSum{c_.dv, P});
    Ahead(i, 2);
    TransposeTo(U, P, L, P, c_.right_v, W);
    TransposeTo(c_.v, P, L, P, c_.right_v + L, W);
    float* dQ = c_.Q;
    SmallProduct(L, W, {ProductTerm{c_.Z, P, 1, c_.right_v, W, P}},
                 PutTriangles<false>{c_.dA, W, L});
    Ahead(i, 3);
    SmallProduct(L, W, {ProductTerm{c_.dy, P, 1, c_.right_v, W, P}}, PutTriangles<true>{dQ, W, L});
    Ahead(i, 4);
    TransposeTo(S, P, P, P, c_.S_t, P);
    TransposeTo(c_.D, P, P, P, c_.D_t, P);
    SmallProduct(L, P,
                 {ProductTerm{dQ + L, W, 1, c_.k, P, L}, ProductTerm{dQ, W, 1, c_.b, P, L},
                  ProductTerm{c_.dy, P, 1, c_.S_t, P, P}},
                 ScaledSum<false>{c_.dr, P, c_.G + P});
    Ahead(i, 5);
    SmallProduct(L, P,
                 {ProductTerm{c_.dA, W, 1, c_.b, P, L}, ProductTerm{c_.dA + L, W, 1, c_.k, P, L},
                  ProductTerm{c_.Z, P, 1, c_.S_t, P, P}},
                 ScaledSum<false>{c_.da, P, c_.G});
    Ahead(i, 6);
    SmallProduct(L, P, {ProductTerm{c_.v, P, 1, c_.D_t, P, P}}, PutSum{c_.dk, P});
    Ahead(i, 7);
    SmallProduct(L, P, {ProductTerm{U, P, 1, c_.D_t, P, P}}, PutSum{c_.db, P});
    Ahead(i, 8);
    FlowAtEnd();
    SmallProduct(L, P,
                 {ProductTerm{dQ + L, 1, W, c_.r, P, L}, ProductTerm{c_.dA + L, 1, W, c_.a, P, L}},
                 ScaledSum<true>{c_.dk, P, c_.inverse});
    Ahead(i, 9);
    SmallProduct(L, P, {ProductTerm{dQ, 1, W, c_.r, P, L}, ProductTerm{c_.dA, 1, W, c_.a, P, L}},
                 ScaledSum<true>{c_.db, P, c_.inverse});
    Ahead(i, 10);
    SmallProduct(P, P, {ProductTerm{c_.r, 1, P, c_.dy, P, L}, ProductTerm{c_.a, 1, P, c_.Z, P, L}},
                 AddSum{c_.D, P});
    Ahead(i, 11);
    Collect(i);
  }

  // After product `step` of the kProducts of Backward: gradients first, since they are used first.
  void Ahead(size_t i, size_t step) const {
    const size_t half = kProducts / 2, part = (chunk_ + half - 1) / half;
    if (step < half) return FetchGradients(i, step * part, (step + 1) * part);
    if (i > 0) FetchRows(i - 1, (step - half) * part, (step - half + 1) * part);
  }
  static constexpr size_t kProducts = 12;

  void ScaleState(const float* scale) const {
    const Lanes d;
    for (size_t j = 0; j < P; ++j) {
      for (size_t at = 0; at < P; at += hn::Lanes(d)) {
        float* x = c_.D + j * P + at;
        hn::Store(hn::Mul(hn::Set(d, scale[j]), hn::Load(d, x)), d, x);
      }
    }
  }

  // The sum over values of S' D at the end of the chunk, from S D' and what the tokens added.
  void FlowAtEnd() const {
    const Lanes d;
    for (size_t at = 0; at < P; at += hn::Lanes(d)) {
      auto sum = hn::Zero(d);
      for (size_t v = at; v < P * P; v += P) {
        sum = hn::MulAdd(hn::Load(d, c_.S_t + v), hn::Load(d, c_.D_t + v), sum);
      }
      for (size_t t = at; t < L * P; t += P) {
        sum = hn::MulAdd(hn::Load(d, c_.k + t), hn::Load(d, c_.dk + t), sum);
        sum = hn::MulAdd(hn::Load(d, c_.b + t), hn::Load(d, c_.db + t), sum);
      }
      hn::Store(sum, d, c_.flow + at);
    }
  }

  // Adds the chunk's gradients to those of the head, and the decay's.
  void Collect(size_t i) const {
    const Lanes d;
    const size_t begin = i * chunk_, count = std::min(chunk_, tokens_ - begin);
    for (size_t at = 0; at < n_; at += hn::Lanes(d)) {
      auto flow = hn::Load(d, c_.flow + at);
      for (size_t t = count; t-- > 0;) {
        const size_t from = t * P + at;
        const auto row = [&](const HeadRows& x)
                             HWY_ATTR { return From(x.Row(begin + t), at, n_, 0.0f); };
        const auto dr = hn::Load(d, c_.dr + from), da = hn::Load(d, c_.da + from);
        const auto dk = hn::Load(d, c_.dk + from), db = hn::Load(d, c_.db + from);
        flow = hn::MulAdd(row(in_.r), dr, flow);
        flow = hn::NegMulAdd(row(in_.k), dk, flow);
        flow = hn::NegMulAdd(row(in_.b), db, flow);
        const auto dw = hn::Div(flow, From(in_.w.Row(begin + t), at, n_, 1.0f));
        flow = hn::MulAdd(row(in_.a), da, flow);
        AddTo(dr, to_.r.Row(begin + t), at);
        AddTo(dw, to_.w.Row(begin + t), at);
        AddTo(dk, to_.k.Row(begin + t), at);
        AddTo(hn::Load(d, c_.dv + from), to_.v.Row(begin + t), at);
        AddTo(da, to_.a.Row(begin + t), at);
        AddTo(db, to_.b.Row(begin + t), at);
      }
    }
  }

  HWY_INLINE void AddTo(hn::Vec<Lanes> x, float* row, size_t at) const {
    const Lanes d;
    const auto sum = hn::Add(From(row, at, n_, 0.0f), x);
    if (at + hn::Lanes(d) <= n_) return hn::StoreU(sum, d, row + at);
    StorePartial(sum, d, row + at, n_ - at);
  }

  const Wkv7Rows& in_;
  const HeadRows dy_;
  const Wkv7Gradients& to_;
  const size_t tokens_, n_, chunk_;
  size_t P, L;
  Chunk7 c_;
  float* saved_;
};

void HeadBack7(const Wkv7Rows& in, const HeadRows& dy, size_t tokens, size_t n, const float* state,
               float* dstate, const Wkv7Gradients& to, float* scratch, size_t chunk) {
  Back7(in, dy, tokens, n, to, chunk, scratch).Run(state, dstate);
}

}  // namespace
}  // namespace linnet::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace linnet {
HWY_EXPORT(HeadBack7);

size_t Wkv7BackFloats(size_t tokens, size_t n, size_t chunk) {
  const size_t P = (n + 15) / 16 * 16, L = (chunk + 15) / 16 * 16;
  const size_t chunks = (tokens + chunk - 1) / chunk;
  return (L + 1) * P + 13 * L * P + 4 * L * P + 4 * L * L + 3 * P * P + P +
         chunks * (P * P + L * P + 2 * L * L);
}

void Wkv7HeadBack(const Wkv7Rows& in, HeadRows dy, size_t tokens, size_t n, const float* state,
                  float* dstate, const Wkv7Gradients& to, float* scratch, size_t chunk) noexcept {
  HWY_DYNAMIC_DISPATCH(HeadBack7)(in, dy, tokens, n, state, dstate, to, scratch, chunk);
}

}  // namespace linnet
#endif  // HWY_ONCE
