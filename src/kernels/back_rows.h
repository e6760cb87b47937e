// Backward of elementwise maps over one row of f32 values: each adds to a gradient.
//
// As in rows.h, every value depends only on those at its own index unless a function says
// otherwise, so a row may be split anywhere with the same bits. Outputs may not overlap the other
// arguments.
#ifndef LINNET_KERNELS_BACK_ROWS_H_
#define LINNET_KERNELS_BACK_ROWS_H_

#include <cstddef>

namespace linnet {

// The maps of rows.h whose derivative is computed from the input x, the output y, or both.
enum class Slope {
  kMinusOne,
  kSigmoid,      // y (1 - y)
  kTanh,         // 1 - y²
  kSilu,         // s (1 + x (1 - s)), s = sigmoid(x)
  kReluSquared,  // 2 sqrt(y)
  kExpNegExp,    // -exp(x) y
  kWkv7Decay,    // -e^(-1/2) s (1 - s) y, s = sigmoid(x)
};

// dx += dy slope(x, y).
void AddSlopeRow(Slope slope, const float* x, const float* y, const float* dy, size_t n,
                 float* dx) noexcept;

// g *= slope(y), for maps whose derivative needs only the output.
void MulSlopeRow(Slope slope, const float* y, size_t n, float* g) noexcept;

// y += a b.
void AddProductRow(const float* a, const float* b, size_t n, float* y) noexcept;
// y += a - b.
void AddDifferenceRow(const float* a, const float* b, size_t n, float* y) noexcept;

// Of y = x + d mu: dx += dy, dd += dy mu, dmu += dy d.
void LerpBackRow(const float* dy, const float* d, const float* mu, size_t n, float* dx, float* dd,
                 float* dmu) noexcept;

// Token shift and up to kMaxMixes mixes of it: y[i] = x + (last - x) mu[i].
inline constexpr size_t kMaxMixes = 6;
void MixRow(const float* x, const float* last, const float* const* mu, size_t mixes, size_t n,
            float* const* y) noexcept;
// dx += sum over i of dy[i] (1 - mu[i]), dlast += sum of dy[i] mu[i], dmu[i] += dy[i] (last - x).
void MixBackRow(const float* const* dy, const float* x, const float* last, const float* const* mu,
                size_t mixes, size_t n, float* dx, float* dlast, float* const* dmu) noexcept;

// Mean and 1 / sqrt(variance + eps) of one of NormRow's groups.
struct Moments {
  float mean, inverse;
};
// dx of NormRow, for whole groups; `moments` [groups] are for NormParamsBackRow.
void NormBackRow(const float* x, const float* dy, size_t n, size_t groups, const float* gain,
                 float eps, float* dx, Moments* moments) noexcept;
// Within one group: dgain += dy (x - mean) inverse, dbias += dy.
void NormParamsBackRow(const float* x, const float* dy, Moments moments, size_t n, float* dgain,
                       float* dbias) noexcept;

// dx of NormalizeRow, of one group with output y.
void NormalizeBackRow(const float* x, const float* y, const float* dy, size_t n,
                      float* dx) noexcept;

// One head of out = y + (sum of r k u) v; g is the gradient of out.
struct BonusRows {
  const float *r, *k, *v, *u, *g;
};
struct BonusGradients {
  float *y, *r, *k, *v, *u;
};
void BonusBackRow(const BonusRows& in, size_t n, const BonusGradients& to) noexcept;

// One head of RWKV-7's keys (ops/rwkv7_rows.cc): remove = -kk, kk the normalized k k_k; replace =
// kk a; key = k (1 + (a - 1) k_a). Gradients that are null in `to` are not computed.
struct Wkv7KeyRows {
  const float *k, *a, *k_k, *k_a, *remove;
  const float *dkey, *dremove, *dreplace;
};
struct Wkv7KeyGradients {
  float *k, *a, *k_k, *k_a;
};
void Wkv7KeysBackRow(const Wkv7KeyRows& in, size_t n, const Wkv7KeyGradients& to) noexcept;

// Of y = x + (z - x) share: dx += dy (1 - share), dz += dy share, dshare += dy (z - x).
void InterpolateBackRow(const float* dy, const float* x, const float* z, const float* share,
                        size_t n, float* dx, float* dz, float* dshare) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_BACK_ROWS_H_
