#include "train/principal_factors.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "kernels/rows.h"

namespace linnet {
namespace {

constexpr int kRounds = 4;

// [rows, cols], row-major.
struct Matrix {
  size_t rows, cols;
  std::vector<float> values;

  Matrix(size_t r, size_t c) : rows(r), cols(c), values(r * c) {}
  Matrix(size_t r, size_t c, std::vector<float> v) : rows(r), cols(c), values(std::move(v)) {}
  float* Row(size_t i) { return values.data() + i * cols; }
  const float* Row(size_t i) const { return values.data() + i * cols; }
};

// P W^T: [rank, out] of P [rank, in].
Matrix TimesTransposed(const Matrix& P, const Matrix& W, ThreadPool& pool) {
  Matrix Y(P.rows, W.rows);
  pool.ForRanges(W.rows, 1, [&](size_t begin, size_t end) {
    for (size_t o = begin; o < end; ++o) {
      for (size_t j = 0; j < P.rows; ++j) Y.Row(j)[o] = Dot(P.Row(j), W.Row(o), W.cols);
    }
  });
  return Y;
}

// Q W: [rank, in] of Q [rank, out].
Matrix Times(const Matrix& Q, const Matrix& W, ThreadPool& pool) {
  Matrix Y(Q.rows, W.cols);
  pool.ForRanges(Q.rows, 1, [&](size_t begin, size_t end) {
    for (size_t j = begin; j < end; ++j) {
      for (size_t o = 0; o < W.rows; ++o) AddScaledRow(W.Row(o), Q.Row(j)[o], W.cols, Y.Row(j));
    }
  });
  return Y;
}

// Makes the rows orthonormal. Rows that are only rounding error relative to the largest become 0.
void Orthonormalize(Matrix& m) {
  double largest = 0;
  for (size_t i = 0; i < m.rows; ++i) {
    largest = std::max(largest, double{Dot(m.Row(i), m.Row(i), m.cols)});
  }
  for (size_t i = 0; i < m.rows; ++i) {
    // Twice is enough (Kahan, Parlett).
    for (int pass = 0; pass < 2; ++pass) {
      for (size_t j = 0; j < i; ++j) {
        AddScaledRow(m.Row(j), -Dot(m.Row(i), m.Row(j), m.cols), m.cols, m.Row(i));
      }
    }
    const double length = Dot(m.Row(i), m.Row(i), m.cols);
    const bool nothing = length <= 1e-11 * largest || length == 0;
    ScaleRow(m.Row(i), nothing ? 0.0f : static_cast<float>(1 / std::sqrt(length)), m.cols,
             m.Row(i));
  }
}

// Eigenvectors (rows of V) and eigenvalues, largest first, of a symmetric n by n matrix, with
// Jacobi rotations.
void Eigen(std::vector<double>& A, size_t n, std::vector<double>& values, std::vector<double>& V) {
  V.assign(n * n, 0);
  for (size_t i = 0; i < n; ++i) V[i * n + i] = 1;
  double norm = 0;
  for (const double a : A) norm += a * a;
  for (int sweep = 0; sweep < 30; ++sweep) {
    double off = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) off += A[i * n + j] * A[i * n + j];
    }
    if (off <= 1e-28 * norm) break;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = i + 1; j < n; ++j) {
        if (A[i * n + j] == 0) continue;
        const double theta = (A[j * n + j] - A[i * n + i]) / (2 * A[i * n + j]);
        const double t = (theta < 0 ? -1 : 1) / (std::abs(theta) + std::sqrt(theta * theta + 1));
        const double c = 1 / std::sqrt(t * t + 1), s = t * c;
        const auto rotate = [&](double* a, double* b, size_t step) {
          for (size_t k = 0; k < n; ++k, a += step, b += step) {
            const double x = *a, y = *b;
            *a = c * x - s * y;
            *b = s * x + c * y;
          }
        };
        rotate(&A[i], &A[j], n);
        rotate(&A[i * n], &A[j * n], 1);
        rotate(&V[i * n], &V[j * n], 1);
      }
    }
  }
  std::vector<size_t> order(n);
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return A[a * n + a] > A[b * n + b]; });
  std::vector<double> sorted(n * n);
  values.resize(n);
  for (size_t i = 0; i < n; ++i) {
    values[i] = A[order[i] * n + order[i]];
    std::copy_n(&V[order[i] * n], n, &sorted[i * n]);
  }
  V = std::move(sorted);
}

}  // namespace

PrincipalFactors FindPrincipalFactors(const TensorView& matrix, size_t rank,
                                      std::vector<float> start, ThreadPool& pool) {
  const size_t out = matrix.shape[0], in = matrix.shape[1];
  const Matrix W(out, in, ReadAll(matrix));
  Matrix Q = TimesTransposed(Matrix(rank, in, std::move(start)), W, pool);  // [rank, out]
  Orthonormalize(Q);
  for (int round = 0; round < kRounds; ++round) {
    Matrix P = Times(Q, W, pool);
    Orthonormalize(P);
    Q = TimesTransposed(P, W, pool);
    Orthonormalize(Q);
  }
  // W is about Q^T B; B B^T = E^T S² E, so B = E^T S V^T with V^T = S^-1 E B.
  const Matrix B = Times(Q, W, pool);
  std::vector<double> squares(rank * rank), values, E;
  for (size_t i = 0; i < rank; ++i) {
    for (size_t j = i; j < rank; ++j) {
      double sum = 0;
      for (size_t k = 0; k < in; ++k) sum += double{B.Row(i)[k]} * B.Row(j)[k];
      squares[i * rank + j] = squares[j * rank + i] = sum;
    }
  }
  Eigen(squares, rank, values, E);
  PrincipalFactors factors{std::vector<float>(rank * in), std::vector<float>(out * rank)};
  for (size_t i = 0; i < rank; ++i) {
    const double root = std::sqrt(std::sqrt(std::max(values[i], 0.0)));  // of the singular value
    if (root * root <= 1e-7 * std::sqrt(std::max(values[0], 0.0))) continue;
    for (size_t j = 0; j < rank; ++j) {
      const double e = E[i * rank + j];
      AddScaledRow(B.Row(j), static_cast<float>(e / root), in, &factors.down[i * in]);
      for (size_t o = 0; o < out; ++o) {
        factors.up[o * rank + i] += static_cast<float>(e * root) * Q.Row(j)[o];
      }
    }
  }
  return factors;
}

}  // namespace linnet
