// Maps and reductions over one row of f32 values.
//
// Maps: y[i] depends only on the values at i, so a row may be split anywhere with the same bits. y
// may be one of the inputs; otherwise they must not overlap. Reductions add in one fixed order that
// depends on n alone: the same for every alignment and thread. Functions with an error bound are
// within 4 ulp of the exact value (results below 2e-36 in magnitude: within 1e-40); finite input
// never gives NaN unless the exact value is undefined, and NaN stays NaN.
#ifndef LINNET_KERNELS_ROWS_H_
#define LINNET_KERNELS_ROWS_H_

#include <cstddef>

namespace linnet {

void AddRow(const float* a, const float* b, size_t n, float* y) noexcept;
void SubRow(const float* a, const float* b, size_t n, float* y) noexcept;
void MulRow(const float* a, const float* b, size_t n, float* y) noexcept;
// y = x + d * mu, rounded once at levels with FMA (portable x86: twice).
void LerpRow(const float* x, const float* d, const float* mu, size_t n, float* y) noexcept;
void ScaleRow(const float* a, float c, size_t n, float* y) noexcept;      // y = c a
void AddScaledRow(const float* a, float c, size_t n, float* y) noexcept;  // y += c a
void OneMinusRow(const float* a, size_t n, float* y) noexcept;            // y = 1 - a

void SigmoidRow(const float* x, size_t n, float* y) noexcept;
void TanhRow(const float* x, size_t n, float* y) noexcept;
void SiluRow(const float* x, size_t n, float* y) noexcept;  // x sigmoid(x)
void ExpRow(const float* x, size_t n, float* y) noexcept;
void ReluSquaredRow(const float* x, size_t n, float* y) noexcept;  // max(x, 0)²
void ExpNegExpRow(const float* x, size_t n, float* y) noexcept;    // exp(-exp(x)), decay of v5, v6
void NegExpRow(const float* x, size_t n, float* y) noexcept;       // -exp(x), decay of v4
// exp(-e^(-1/2) sigmoid(x)), the decay of v7, in (0.5452, 1).
void Wkv7DecayRow(const float* x, size_t n, float* y) noexcept;

float SumRow(const float* x, size_t n) noexcept;
float Dot(const float* a, const float* b, size_t n) noexcept;
// sum of (a b) c.
float Dot3(const float* a, const float* b, const float* c, size_t n) noexcept;
// Sum of (x - center)².
float SumSquaresRow(const float* x, size_t n, float center) noexcept;

float MaxRow(const float* x, size_t n) noexcept;      // n >= 1
size_t ArgMaxRow(const float* x, size_t n) noexcept;  // n >= 1; the first of equals; NaN never wins
// log(sum of exp(x)), shifted by the maximum. n >= 1.
double LogSumExpRow(const float* x, size_t n) noexcept;
// y = exp(x) / sum of exp(x). n >= 1.
void SoftmaxRow(const float* x, size_t n, float* y) noexcept;

// LayerNorm (groups == 1) or GroupNorm: each of `groups` equal parts of the row is normalized to
// mean 0 and variance 1, then y = gain x' + bias over the whole row. n is a multiple of groups.
void NormRow(const float* x, size_t n, size_t groups, const float* gain, const float* bias,
             float eps, float* y) noexcept;
// Each of `groups` equal parts divided by max(its Euclidean norm, 1e-12).
void NormalizeRow(const float* x, size_t n, size_t groups, float* y) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_ROWS_H_
