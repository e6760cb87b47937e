// The chunked backward against a step-by-step backward in double precision.
#include "kernels/wkv_back.h"

#include <cmath>

#include "base/buffer.h"
#include "kernels/each_isa.h"

namespace linnet {
namespace {

using Doubles = std::vector<double>;

class WkvBackTest : public EachIsa {
 protected:
  std::vector<float> Uniform(size_t n, float low, float high) {
    std::uniform_real_distribution<float> uniform(low, high);
    std::vector<float> values(n);
    for (float& x : values) x = uniform(random_);
    return values;
  }
};

// The largest difference relative to the largest value.
void ExpectNear(const std::vector<float>& found, const Doubles& expected, double tolerance,
                const std::string& what) {
  double largest = 1e-30, difference = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    largest = std::max(largest, std::abs(expected[i]));
    // Not std::max, which would drop a NaN.
    if (!(std::abs(found[i] - expected[i]) <= difference)) {
      difference = std::abs(found[i] - expected[i]);
    }
  }
  EXPECT_LE(difference, tolerance * largest) << what;
}

struct Case7 {
  size_t tokens, n;
  float low, high;  // of the decay
  bool state = true;
};

struct Data7 {
  std::vector<float> r, w, k, v, a, b, dy, S, D;
  size_t stride;
};

// The gradients of r, w, k, v, a, b and the state, each [tokens, n] and [n, n].
std::vector<Doubles> Recurrent7(const Data7& in, size_t tokens, size_t n) {
  std::vector<Doubles> states{Doubles(in.S.begin(), in.S.end())}, sas;
  const auto at = [&](const std::vector<float>& x, size_t t, size_t j) -> double {
    return x[t * in.stride + j];
  };
  for (size_t t = 0; t < tokens; ++t) {
    Doubles S = states.back(), sa(n);
    for (size_t j = 0; j < n; ++j) {
      for (size_t i = 0; i < n; ++i) sa[i] += S[j * n + i] * at(in.a, t, j);
    }
    for (size_t j = 0; j < n; ++j) {
      for (size_t i = 0; i < n; ++i) {
        S[j * n + i] = S[j * n + i] * at(in.w, t, j) + at(in.b, t, j) * sa[i] +
                       at(in.k, t, j) * at(in.v, t, i);
      }
    }
    states.push_back(S);
    sas.push_back(sa);
  }
  std::vector<Doubles> g(6, Doubles(tokens * n));
  Doubles D(in.D.begin(), in.D.end());
  for (size_t t = tokens; t-- > 0;) {
    const Doubles &before = states[t], &after = states[t + 1];
    Doubles dsa(n);
    for (size_t j = 0; j < n; ++j) {
      for (size_t i = 0; i < n; ++i) {
        double& d = D[j * n + i];
        g[0][t * n + j] += after[j * n + i] * at(in.dy, t, i);
        d += at(in.r, t, j) * at(in.dy, t, i);
        g[1][t * n + j] += d * before[j * n + i];
        g[2][t * n + j] += d * at(in.v, t, i);
        g[3][t * n + i] += d * at(in.k, t, j);
        g[5][t * n + j] += d * sas[t][i];
        dsa[i] += d * at(in.b, t, j);
      }
    }
    for (size_t j = 0; j < n; ++j) {
      for (size_t i = 0; i < n; ++i) {
        g[4][t * n + j] += before[j * n + i] * dsa[i];
        D[j * n + i] = D[j * n + i] * at(in.w, t, j) + at(in.a, t, j) * dsa[i];
      }
    }
  }
  g.push_back(D);
  return g;
}

TEST_P(WkvBackTest, Wkv7InChunksIsTheRecurrence) {
  for (const Case7 c : {Case7{70, 64, 0.55f, 1.0f}, Case7{70, 64, 0.546f, 0.56f},
                        Case7{70, 64, 0.999f, 1.0f, false}, Case7{37, 5, 0.55f, 1.0f},
                        Case7{37, 33, 0.55f, 1.0f}, Case7{1, 16, 0.55f, 1.0f}}) {
    const size_t n = c.n, stride = n + 3, size = c.tokens * stride;
    Data7 in{Normal(size),
             Uniform(size, c.low, c.high),
             Normal(size),
             Normal(size),
             {},
             {},
             Normal(size),
             std::vector<float>(n * n),
             std::vector<float>(n * n),
             stride};
    // As in the model: a is minus a unit vector, b that vector scaled by (0, 1).
    in.a = Normal(size, 1 / std::sqrt(float(n)));
    const auto rate = Uniform(size, 0, 1);
    for (size_t i = 0; i < size; ++i) in.b.push_back(-in.a[i] * rate[i]);
    if (c.state) {
      in.S = Normal(n * n);
      in.D = Normal(n * n);
    }
    const auto expected = Recurrent7(in, c.tokens, n);
    for (const size_t chunk : {1, 2, 5, 16, 32, 64}) {
      const auto rows = [&](const std::vector<float>& x) { return HeadRows{x.data(), stride}; };
      std::vector<std::vector<float>> g(6, std::vector<float>(c.tokens * n));
      const auto to = [&](size_t i) { return HeadGradients{g[i].data(), n}; };
      Buffer scratch(Wkv7BackFloats(c.tokens, n, chunk) * sizeof(float));
      std::vector<float> D = in.D;
      Wkv7HeadBack({rows(in.r), rows(in.w), rows(in.k), rows(in.v), rows(in.a), rows(in.b)},
                   rows(in.dy), c.tokens, n, in.S.data(), D.data(),
                   {to(0), to(1), to(2), to(3), to(4), to(5)},
                   reinterpret_cast<float*>(scratch.data()), chunk);
      g.push_back(D);
      for (size_t i = 0; i < g.size(); ++i) {
        const char* names[] = {"r", "w", "k", "v", "a", "b", "state"};
        ExpectNear(g[i], expected[i], 1e-5,
                   std::string(names[i]) + ", head of " + std::to_string(n) + ", chunk " +
                       std::to_string(chunk) + ", decay from " + std::to_string(c.low));
      }
    }
  }
}

// The gradients of r, w, k, v [tokens, n], u [n] and the state.
std::vector<Doubles> Recurrent6(const Data7& in, const std::vector<float>& u, size_t tokens,
                                size_t n) {
  std::vector<Doubles> states{Doubles(in.S.begin(), in.S.end())};
  const auto at = [&](const std::vector<float>& x, size_t t, size_t j) -> double {
    return x[t * in.stride + j];
  };
  for (size_t t = 0; t < tokens; ++t) {
    Doubles S = states.back();
    for (size_t j = 0; j < n; ++j) {
      for (size_t i = 0; i < n; ++i) {
        S[j * n + i] = S[j * n + i] * at(in.w, t, j) + at(in.k, t, j) * at(in.v, t, i);
      }
    }
    states.push_back(S);
  }
  std::vector<Doubles> g(4, Doubles(tokens * n));
  g.emplace_back(n);
  Doubles D(in.D.begin(), in.D.end());
  for (size_t t = tokens; t-- > 0;) {
    const Doubles& before = states[t];
    double vdy = 0, ruk = 0;
    for (size_t i = 0; i < n; ++i) {
      vdy += at(in.v, t, i) * at(in.dy, t, i);
      ruk += at(in.r, t, i) * u[i] * at(in.k, t, i);
    }
    for (size_t j = 0; j < n; ++j) {
      g[0][t * n + j] += vdy * u[j] * at(in.k, t, j);
      g[2][t * n + j] += vdy * u[j] * at(in.r, t, j);
      g[3][t * n + j] += ruk * at(in.dy, t, j);
      g[4][j] += vdy * at(in.r, t, j) * at(in.k, t, j);
      for (size_t i = 0; i < n; ++i) {
        double& d = D[j * n + i];
        g[0][t * n + j] += before[j * n + i] * at(in.dy, t, i);
        g[1][t * n + j] += d * before[j * n + i];
        g[2][t * n + j] += d * at(in.v, t, i);
        g[3][t * n + i] += d * at(in.k, t, j);
        d = d * at(in.w, t, j) + at(in.r, t, j) * at(in.dy, t, i);
      }
    }
  }
  g.push_back(D);
  return g;
}

TEST_P(WkvBackTest, FinchInChunksIsTheRecurrence) {
  // The last mixes decays near 1 with some of exp(-400), which are 0 in f32.
  for (const Case7 c :
       {Case7{70, 64, 0.3f, 1.0f}, Case7{70, 64, 0.999f, 1.0f, false}, Case7{37, 5, 0.01f, 1.0f},
        Case7{37, 33, 0.3f, 1.0f}, Case7{1, 16, 0.3f, 1.0f}, Case7{70, 64, -0.5f, 1.0f}}) {
    const size_t n = c.n, stride = n + 3, size = c.tokens * stride;
    Data7 in{Normal(size),
             Uniform(size, c.low, c.high),
             Normal(size),
             Normal(size),
             {},
             {},
             Normal(size),
             std::vector<float>(n * n),
             std::vector<float>(n * n),
             stride};
    for (float& w : in.w) w = std::max(w, 0.0f);
    if (c.state) {
      in.S = Normal(n * n);
      in.D = Normal(n * n);
    }
    const auto u = Normal(n);
    auto expected = Recurrent6(in, u, c.tokens, n);
    const auto rows = [&](const std::vector<float>& x) { return HeadRows{x.data(), stride}; };
    std::vector<std::vector<float>> g(4, std::vector<float>(c.tokens * n));
    const auto to = [&](size_t i) { return HeadGradients{g[i].data(), n}; };
    Buffer scratch(Wkv6BackFloats(c.tokens, n) * sizeof(float));
    std::vector<float> D = in.D, du(n);
    Wkv6HeadBack({rows(in.r), rows(in.w), rows(in.k), rows(in.v), u.data()}, rows(in.dy), c.tokens,
                 n, in.S.data(), D.data(), {to(0), to(1), to(2), to(3), du.data()},
                 reinterpret_cast<float*>(scratch.data()));
    // Models need the gradient of the decay's logarithm.
    for (size_t t = 0; t < c.tokens; ++t) {
      for (size_t j = 0; j < n; ++j) {
        g[1][t * n + j] *= in.w[t * stride + j];
        expected[1][t * n + j] *= in.w[t * stride + j];
      }
    }
    g.push_back(du);
    g.push_back(D);
    for (size_t i = 0; i < g.size(); ++i) {
      const char* names[] = {"r", "log w", "k", "v", "u", "state"};
      ExpectNear(g[i], expected[i], 1e-5,
                 std::string(names[i]) + ", head of " + std::to_string(n) + ", decay from " +
                     std::to_string(c.low));
    }
  }
}

TEST_P(WkvBackTest, Wkv7AddsToExistingGradients) {
  const size_t n = 16, tokens = 20;
  const auto x = Normal(tokens * n, 0.3f), w = Uniform(tokens * n, 0.6f, 1), S = Normal(n * n);
  const HeadRows row{x.data(), n};
  const auto run = [&](float before) {
    std::vector<float> g(tokens * n, before), D(n * n);
    std::vector<std::vector<float>> rest(5, std::vector<float>(tokens * n));
    const auto to = [&](size_t i) { return HeadGradients{rest[i].data(), n}; };
    Buffer scratch(Wkv7BackFloats(tokens, n) * sizeof(float));
    Wkv7HeadBack({row, {w.data(), n}, row, row, row, row}, row, tokens, n, S.data(), D.data(),
                 {{g.data(), n}, to(0), to(1), to(2), to(3), to(4)},
                 reinterpret_cast<float*>(scratch.data()));
    return g;
  };
  const auto from_zero = run(0), from_one = run(1);
  for (size_t i = 0; i < from_zero.size(); ++i) EXPECT_EQ(from_one[i], 1 + from_zero[i]);
}
// RWKV-4 from its definition: A and B are sums over all previous tokens.
struct Dove {
  Doubles w, u, k, v, aa, bb;  // [C], [tokens, C]
  std::vector<float> pp;       // of the initial state

  // The sum of dy y, and of end_aa and end_bb times the state after, at exponents end_pp.
  double Value(const std::vector<float>& dy, const std::vector<float>& end_aa,
               const std::vector<float>& end_bb, const std::vector<float>& end_pp) const {
    const size_t C = w.size(), tokens = k.size() / C;
    double value = 0;
    for (size_t c = 0; c < C; ++c) {
      // A and B before token t, times exp(-scale).
      const auto sums = [&](size_t t, double scale) {
        const double first = std::exp(double(t) * w[c] + pp[c] - scale);
        double A = first * aa[c], B = first * bb[c];
        for (size_t s = 0; s < t; ++s) {
          const double share = std::exp(double(t - 1 - s) * w[c] + k[s * C + c] - scale);
          A += share * v[s * C + c];
          B += share;
        }
        return std::pair(A, B);
      };
      for (size_t t = 0; t < tokens; ++t) {
        const double scale = u[c] + k[t * C + c];
        const auto [A, B] = sums(t, scale);
        value += dy[t * C + c] * (A + v[t * C + c]) / (B + 1);
      }
      const auto [A, B] = sums(tokens, end_pp[c]);
      value += end_aa[c] * A + end_bb[c] * B;
    }
    return value;
  }
};

TEST_P(WkvBackTest, DoveIsTheSlopeOfItsDefinition) {
  const size_t tokens = 7;
  for (const bool carried : {false, true}) {
    for (const size_t C : {1, 11, 16}) {
      const auto w = Uniform(C, -2, -0.01f), u = Normal(C), k = Normal(tokens * C, 3.0f);
      const auto v = Normal(tokens * C), dy = Normal(tokens * C);
      std::vector<float> aa(C), bb(C), pp(C, -1e30f), y(tokens * C), daa(C), dbb(C);
      if (carried) {
        aa = Normal(C, 2.0f);
        bb = Uniform(C, 0.5f, 3);
        pp = Normal(C, 6.0f);  // below and above all keys
        daa = Normal(C);
        dbb = Normal(C);
      }
      const auto mat = [&](const std::vector<float>& x) {
        return Mat<const float>{x.data(), tokens, C, C};
      };
      std::vector<float> S[3] = {aa, bb, pp}, ends[2] = {daa, dbb};
      Wkv4(w.data(), u.data(), mat(k), mat(v), S[0].data(), S[1].data(), S[2].data(),
           {y.data(), tokens, C, C});
      std::vector<float> dw(C), du(C), dk(tokens * C), dv(tokens * C);
      std::vector<double> scratch(Wkv4BackDoubles(tokens));
      Wkv4Back({w.data(), u.data(), mat(k), mat(v), mat(y), mat(dy), aa.data(), bb.data(),
                pp.data(), S[2].data()},
               {dw.data(),
                du.data(),
                {dk.data(), tokens, C, C},
                {dv.data(), tokens, C, C},
                carried ? ends[0].data() : nullptr,
                carried ? ends[1].data() : nullptr},
               scratch.data());
      const auto doubles = [](const std::vector<float>& x) { return Doubles(x.begin(), x.end()); };
      Dove dove{doubles(w), doubles(u), doubles(k), doubles(v), doubles(aa), doubles(bb), pp};
      Doubles* in[] = {&dove.w, &dove.u, &dove.k, &dove.v, &dove.aa, &dove.bb};
      const std::vector<float>* found[] = {&dw, &du, &dk, &dv, &ends[0], &ends[1]};
      for (size_t i = 0; i < (carried ? 6u : 4u); ++i) {
        Doubles slopes;
        for (double& x : *in[i]) {
          const double at = x, step = 1e-5;
          x = at + step;
          const double up = dove.Value(dy, daa, dbb, S[2]);
          x = at - step;
          slopes.push_back((up - dove.Value(dy, daa, dbb, S[2])) / (2 * step));
          x = at;
        }
        ExpectNear(*found[i], slopes, 2e-5,
                   "input " + std::to_string(i) + (carried ? ", carried" : ""));
      }
    }
  }
}
LINNET_EACH_ISA(WkvBackTest);

}  // namespace
}  // namespace linnet
