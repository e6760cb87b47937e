#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/wkv.h"
#include "ops/ops.h"

namespace linnet {
namespace {

constexpr double kNever = -1e38;  // the exponent of an empty sum

struct Inputs {
  Var w, u, k, v, y;
};

// One channel of one segment, from its state before the pass (aa, bb, pp). The two
// sweeps are RWKV-4's CUDA backward (RWKV-LM, wkv_cuda.cu) with a state carried in.
// In double: exponents of both signs meet here.
void BackChannel(const Inputs& in, const Segment& s, size_t c, double aa, double bb, double pp) {
  const double w = in.w.v.data[c], u = in.u.v.data[c];
  std::vector<double> Q(s.len), R(s.len);
  double ga = 0, gb = 0, gw = 0, gu = 0;
  for (size_t i = 0; i < s.len; ++i) {
    const size_t t = s.begin + i;
    const double k = in.k.v.Row(t)[c], v = in.v.v.Row(t)[c];
    double q = std::max(pp, u + k), e1 = std::exp(pp - q), e2 = std::exp(u + k - q);
    const double total = e1 * bb + e2, y = (e1 * aa + e2 * v) / total;
    const double qq = in.y.g.Row(t)[c] / total;
    gw += (ga - gb * y) * e1 * qq;
    gu += (v - y) * e2 * qq;
    Q[i] = qq;
    R[i] = u + k - q;
    q = std::max(pp + w, k);
    e1 = std::exp(pp + w - q);
    e2 = std::exp(k - q);
    ga = e1 * (aa + ga);
    gb = e1 * (bb + gb);
    aa = e1 * aa + e2 * v;
    bb = e1 * bb + e2;
    pp = q;
  }
  if (in.w.tracked()) in.w.g.data[c] += static_cast<float>(gw);
  if (in.u.tracked()) in.u.g.data[c] += static_cast<float>(gu);
  aa = bb = 0;
  pp = kNever;
  for (size_t i = s.len; i-- > 0;) {
    const size_t t = s.begin + i;
    const double k = in.k.v.Row(t)[c], v = in.v.v.Row(t)[c], y = in.y.v.Row(t)[c];
    double e1 = Q[i] * std::exp(R[i]), e2 = std::exp(k + pp);
    in.k.g.Row(t)[c] += static_cast<float>(e1 * (v - y) + e2 * (aa * v + bb));
    in.v.g.Row(t)[c] += static_cast<float>(e1 + e2 * aa);
    const double ww = pp + w, www = R[i] - u - k, q = std::max(ww, www);
    e1 = std::exp(ww - q);
    e2 = Q[i] * std::exp(www - q);
    aa = e1 * aa + e2;
    bb = e1 * bb - e2 * y;
    pp = q;
  }
}

}  // namespace

Var Wkv4(Pass& p, Var log_w, Var u, Var k, Var v) {
  const Inputs in{log_w, u, k, v, p.New(k.rows(), k.cols())};
  const size_t channels = k.cols();
  float* initial = nullptr;
  if (p.tape != nullptr) {
    initial = p.Scratch(p.segments.size() * 3 * channels);
    for (size_t i = 0; i < p.segments.size(); ++i) {
      std::copy_n(p.StateOf(p.segments[i]).wkv.data(), 3 * channels, initial + i * 3 * channels);
    }
  }
  p.ForColumns(channels, 16 * k.rows() * channels, [&](size_t begin, size_t end) {
    for (const Segment& s : p.segments) {
      float* state = p.StateOf(s).wkv.data() + begin;
      const auto rows = [&](const Var& x) {
        return x.v.Rows(s.begin, s.len).Columns(begin, end - begin);
      };
      linnet::Wkv4(in.w.v.data + begin, in.u.v.data + begin, rows(in.k), rows(in.v), state,
                   state + channels, state + 2 * channels, rows(in.y));
    }
  });
  p.OnBackward([&p, in, initial, channels] {
    for (const Var& x : {in.w, in.u, in.k, in.v, in.y}) x.Settle();
    p.ForColumns(channels, 64 * in.k.rows() * channels, [&](size_t begin, size_t end) {
      for (size_t i = 0; i < p.segments.size(); ++i) {
        const float* state = initial + i * 3 * channels;
        for (size_t c = begin; c < end; ++c) {
          BackChannel(in, p.segments[i], c, state[c], state[channels + c], state[2 * channels + c]);
        }
      }
    });
  });
  return in.y;
}

}  // namespace linnet
