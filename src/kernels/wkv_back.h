// Backward of the WKV recurrences, a chunk of tokens at a time: small matrix products instead of
// single steps (arXiv:2503.14456 and its appendix; the same forms as flash-linear-attention).
#ifndef LINNET_KERNELS_WKV_BACK_H_
#define LINNET_KERNELS_WKV_BACK_H_

#include <cstddef>

#include "kernels/wkv.h"

namespace linnet {

// One head's columns of T rows of gradients, added to.
struct HeadGradients {
  float* data;
  size_t stride;
  float* Row(size_t t) const { return data + t * stride; }
};

struct Wkv7Gradients {
  HeadGradients r, w, k, v, a, b;
};

// Tokens in a chunk: shorter chunks mean more products with the state, longer ones more products of
// tokens with tokens.
inline constexpr size_t kWkvChunk = 16;

// Floats of scratch for the functions below, 64-byte aligned.
size_t Wkv7BackFloats(size_t tokens, size_t n, size_t chunk = kWkvChunk);

// Backward of Wkv7Head from `state`: adds the gradients from `dy` [tokens, n] to `to`, and turns
// dstate, the gradient of the state after the tokens, into that of the state before. The decay w
// must be so far from 0 that its product over a chunk, at most 64 tokens, is a normal number; v7's
// is above 0.545.
void Wkv7HeadBack(const Wkv7Rows& in, HeadRows dy, size_t tokens, size_t n, const float* state,
                  float* dstate, const Wkv7Gradients& to, float* scratch,
                  size_t chunk = kWkvChunk) noexcept;

struct Wkv6Gradients {
  HeadGradients r, w, k, v;  // w's stride may be 0
  float* u;                  // [n]
};

size_t Wkv6BackFloats(size_t tokens, size_t n);

// The same for Wkv6Head. Decays may be 0; the gradient of a decay below 1e-20 is 0, since its
// effect through the logarithm is below rounding.
void Wkv6HeadBack(const Wkv6Rows& in, HeadRows dy, size_t tokens, size_t n, const float* state,
                  float* dstate, const Wkv6Gradients& to, float* scratch) noexcept;

// Backward of Wkv4 from the state aa, bb, pp; y is its output. All [T, C] or [C].
struct Wkv4Rows {
  const float *log_w, *u;
  Mat<const float> k, v, y, dy;
  const float *aa, *bb, *pp;
  const float* end_pp = nullptr;  // pp after the rows, if the state has a gradient
};
// aa and bb, both or neither, are turned from the gradients of the state after the rows into those
// of the state before. They are partial derivatives at a fixed pp: pp only scales the two, so its
// own derivative, aa daa + bb dbb, adds no information.
struct Wkv4Gradients {
  float *log_w, *u;
  Mat<float> k, v;
  float *aa = nullptr, *bb = nullptr;
};

size_t Wkv4BackDoubles(size_t tokens);
void Wkv4Back(const Wkv4Rows& in, const Wkv4Gradients& to, double* scratch) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_WKV_BACK_H_
