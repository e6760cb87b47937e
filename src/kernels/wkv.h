// WKV: the recurrences of RWKV over a range of tokens, one head (v5 to v7) or some channels (v4).
//
// Inputs are rows [T, N], T >= 1; a stride of 0 repeats one row for every token. The state is f32
// and is updated in place. The bits do not depend on how a range is split into calls.
#ifndef LINNET_KERNELS_WKV_H_
#define LINNET_KERNELS_WKV_H_

#include <cstddef>

#include "tensor/mat.h"

namespace linnet {

// RWKV-4 (docs/models.md) with exponents relative to pp: rows [T, C], the decay log_w =
// -exp(time_decay) and u [C], state aa, bb, pp [C] (pp starts at -1e30). Channels are independent.
void Wkv4(const float* log_w, const float* u, Mat<const float> k, Mat<const float> v, float* aa,
          float* bb, float* pp, Mat<float> y) noexcept;

// One head's columns of T rows.
struct HeadRows {
  const float* data;
  size_t stride;  // floats from one token to the next
  const float* Row(size_t t) const { return data + t * stride; }
};

struct Wkv6Rows {
  HeadRows r, w, k, v;
  const float* u;  // [n], the same for all tokens
};

// RWKV-5 and 6, one head of n values over `tokens` rows. `state` is S[key j][value i], rows of n.
//   y_i = sum over j of r_j (u_j k_j v_i + S_ji);  S_ji = w_j S_ji + k_j v_i.
void Wkv6Head(const Wkv6Rows& in, size_t tokens, size_t n, float* state, float* y,
              size_t y_stride) noexcept;

struct Wkv7Rows {
  HeadRows r, w, k, v, a, b;
};

// RWKV-7, one head; `state` as above.
//   s_i = sum over j of S_ji a_j;  S_ji = w_j S_ji + b_j s_i + k_j v_i;  y_i = sum over j of S_ji
//   r_j.
void Wkv7Head(const Wkv7Rows& in, size_t tokens, size_t n, float* state, float* y,
              size_t y_stride) noexcept;

}  // namespace linnet

#endif  // LINNET_KERNELS_WKV_H_
