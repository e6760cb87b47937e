// Adapters: their gradients, their bits, what a run of them leaves, and what is wrong with a file.
#include "models/adapter.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <map>

#include "linnet/error.h"
#include "models/detect.h"
#include "models/goldens.h"
#include "models/gradient.h"
#include "train/learner.h"
#include "train/new_adapter.h"
#include "train/principal_factors.h"
#include "train/test_adapters.h"
#include "train/training_file.h"

namespace linnet {
namespace {

using namespace test_adapters;

void WriteAdapter(const fs::path& base, AdapterKind kind, const fs::path& path, size_t rank = 4) {
  ThreadPool pool(2);
  NewAdapterOptions options;
  options.kind = kind;
  options.rank = rank;
  options.alpha = 6;
  options.targets = [](const std::string&) { return true; };
  WriteNewAdapter(Checkpoint(base), options, pool, path);
}

class AdapterTest : public testing::TestWithParam<AdapterKind> {
 protected:
  test::TemporaryFolder folder_;
};

struct Bound {
  std::unique_ptr<Network> network;

  Bound(const fs::path& base, const fs::path& adapter, ThreadPool& pool) {
    Checkpoint checkpoint(base);
    const Config config = ConfigOf(checkpoint);
    const Adapter loaded(adapter, checkpoint);
    network = Network::Bind(std::move(checkpoint), config, pool,
                            {.gradients = true,
                             .learns = Adapter::Learns,
                             .trained = DType::kF32,
                             .adapters = {&loaded, 1}});
  }
};

// Along the gradient the loss rises as fast as the gradient is long.
TEST_P(AdapterTest, GradientsAreSlopes) {
  for (const char* generation : {"4", "5.2", "6", "7"}) {
    const fs::path path = folder_ / "a.safetensors";
    WriteAdapter(Base(generation), GetParam(), path);
    Stir(path);
    ThreadPool pool(2);
    const Bound bound(Base(generation), path, pool);
    const Network& n = *bound.network;
    AddGradient(n, kTokens, false, pool);
    const auto values = n.values();
    const std::vector<float> g(n.gradients().begin(), n.gradients().end());
    const std::vector<float> v(values.begin(), values.end());
    double squares = 0;
    for (const float x : g) squares += double{x} * x;
    const double length = std::sqrt(squares);
    ASSERT_GT(length, 1e-2);
    double best = INFINITY;  // of several steps: large ones bend, small ones drown in f32
    for (const double h : {0.003, 0.01, 0.03}) {
      double loss[2];
      for (int side = 0; side < 2; ++side) {
        const double step = (side == 0 ? h : -h) / length;
        for (size_t k = 0; k < v.size(); ++k) values[k] = static_cast<float>(v[k] + step * g[k]);
        n.Repack(pool);
        loss[side] = AddGradient(n, kTokens, false, pool);
      }
      best = std::min(best, std::abs((loss[0] - loss[1]) / (2 * h) - length) / length);
    }
    EXPECT_LT(best, 5e-3) << generation;
  }
}

// What the adapter makes of every matrix, as whole tensors in the place of the model's.
void WriteWhole(const fs::path& base, const fs::path& adapter, const fs::path& path) {
  const Checkpoint checkpoint(base);
  const Adapter loaded(adapter, checkpoint);
  std::vector<Values> all;
  for (const TensorView& t : checkpoint.tensors()) {
    const MatrixChange* change = loaded.Find(t.name);
    if (change == nullptr) continue;
    Values v{t.name, t.shape, ReadAll(t)};
    RowChanger(*change, t).Apply(0, t.shape[0], v.values.data());
    all.push_back(std::move(v));
  }
  WriteValues(path, all);
}

// dA = s B^T dW and dB = s dW A^T, where dW is the gradient of the matrix that the adapter makes.
TEST_P(AdapterTest, GradientsAreThoseOfTheWholeMatrix) {
  const fs::path path = folder_ / "a.safetensors", whole = folder_ / "whole.safetensors";
  for (const char* generation : {"4", "6", "7"}) {
    WriteAdapter(Base(generation), GetParam(), path);
    Stir(path);
    WriteWhole(Base(generation), path, whole);
    ThreadPool pool(2);
    const Bound bound(Base(generation), path, pool);
    const double loss = AddGradient(*bound.network, kTokens, false, pool);
    std::map<std::string, std::vector<float>> dW;
    Checkpoint checkpoint(Base(generation));
    const Adapter replaced(whole, checkpoint), factors(path, checkpoint);
    {
      const Config config = ConfigOf(checkpoint);
      const auto n = Network::Bind(Checkpoint(Base(generation)), config, pool,
                                   {.gradients = true, .adapters = {&replaced, 1}});
      EXPECT_NEAR(AddGradient(*n, kTokens, false, pool), loss, 1e-5);
      for (const Parameter& p : n->parameters()) {
        dW[p.name].assign(p.g.data, p.g.data + p.g.rows * p.g.cols);
      }
    }
    for (const Parameter& p : bound.network->parameters()) {
      const std::string matrix = p.name.substr(0, p.name.rfind('.')) + ".weight";
      const MatrixChange& change = *factors.Find(matrix);
      const std::vector<float>& d = dW.at(matrix);
      const size_t in = checkpoint.Find(matrix)->shape[1];
      const bool down = p.name.ends_with("lora_A");
      std::vector<float> A =
          change.down.name.empty() ? std::vector<float>(change.rank * in) : ReadAll(change.down);
      if (change.down.name.empty()) {
        for (size_t i = 0; i < in; ++i) A[i % change.rank * in + i] = 1;
      }
      const std::vector<float> B = ReadAll(change.up);
      std::vector<float> expected(p.g.rows * p.g.cols);
      for (size_t o = 0; o < d.size() / in; ++o) {
        for (size_t j = 0; j < change.rank; ++j) {
          for (size_t i = 0; i < in; ++i) {
            const float x = change.scale * d[o * in + i];
            if (down) {
              expected[j * in + i] += x * B[o * change.rank + j];
            } else {
              expected[o * change.rank + j] += x * A[j * in + i];
            }
          }
        }
      }
      EXPECT_LT(goldens::Error({p.g.data, expected.size()}, expected), 5e-4)
          << generation << " " << p.name;
    }
  }
}

// The law of bits, beside matrices of every kind.
TEST_P(AdapterTest, TokenByTokenAndInCompanyAreAllAtOnce) {
  for (const char* generation : {"4", "5.2", "7"}) {
    const fs::path path = folder_ / "a.safetensors";
    WriteAdapter(Base(generation), GetParam(), path);
    Stir(path);
    for (const DType dtype : {DType::kF32, DType::kBF16, DType::kNF4}) {
      OpenOptions options;
      options.quant = dtype;
      options.adapters = {{path, {}}};
      const Model model = Model::Open(Base(generation), options);
      const size_t vocab = model.config().vocab;
      Workspace one({.threads = 1}), three({.threads = 3});
      std::vector<float> whole(kTokens.size() * vocab), steps(whole.size());
      State a = model.NewState(), b = model.NewState(), other = model.NewState();
      model.Forward({kTokens, &a, whole}, three);
      const std::vector<int32_t> beside = {3, 1, 4, 1, 5};
      for (size_t t = 0; t < kTokens.size(); ++t) {
        const Turn turns[] = {
            {beside, &other, {}},
            {std::span(kTokens).subspan(t, 1), &b, std::span(steps).subspan(t * vocab, vocab)}};
        model.Forward(turns, one);
      }
      EXPECT_EQ(std::memcmp(whole.data(), steps.data(), whole.size() * sizeof(float)), 0)
          << generation << " " << Name(dtype);
    }
  }
}

TEST_P(AdapterTest, ANewOneChangesNothing) {
  const fs::path path = folder_ / "a.safetensors";
  WriteAdapter(Base("7"), GetParam(), path);
  OpenOptions options;
  options.quant = DType::kF32;
  const Model plain = Model::Open(Base("7"), options);
  options.adapters = {{path, {}}};
  const Model adapted = Model::Open(Base("7"), options);
  EXPECT_EQ(plain.hash(), adapted.hash());
  Workspace workspace({.threads = 1, .exact = true});
  std::vector<float> before(plain.config().vocab), after(before.size());
  State a = plain.NewState(), b = adapted.NewState();
  plain.Forward({kTokens, &a, before}, workspace);
  adapted.Forward({kTokens, &b, after}, workspace);
  EXPECT_LT(goldens::Error(after, before), 2e-6);
}

std::unique_ptr<Learner> LearnerOf(const std::string& generation, const fs::path& adapter,
                                   ThreadPool& pool, LearnerOptions options = {}) {
  static World alone;
  options.learns = Adapter::Learns;
  options.packing.type = DType::kNF4;
  options.rows_per_pass = 2;
  Checkpoint checkpoint(Base(generation));
  const Config config = ConfigOf(checkpoint);
  const Adapter loaded(adapter, checkpoint);
  return std::make_unique<Learner>(std::move(checkpoint), config, options, pool, alone,
                                   std::span(&loaded, 1));
}

TEST_P(AdapterTest, LearnsBesideNf4AndResumesBitForBit) {
  static World alone;
  const fs::path start = folder_ / "start.safetensors", half = folder_ / "half.safetensors";
  WriteAdapter(Base("7"), GetParam(), start);
  ThreadPool pool(2);
  const auto rows = Rows();
  const auto whole = LearnerOf("7", start, pool);
  const double first = whole->Step(rows, rows.size(), 5e-3).loss;
  for (int i = 0; i < 3; ++i) whole->Step(rows, rows.size(), 5e-3);
  SaveTraining(*whole, alone, half, {});
  double last = 0;
  for (int i = 0; i < 12; ++i) last = whole->Step(rows, rows.size(), 5e-3).loss;
  EXPECT_LT(last, 0.9 * first);

  const auto resumed = LearnerOf("7", start, pool);
  LoadTraining(*resumed, alone, half);
  for (int i = 0; i < 12; ++i) resumed->Step(rows, rows.size(), 5e-3);
  const auto a = whole->network().values(), b = resumed->network().values();
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size_bytes()), 0);

  // What the run leaves opens beside the base, which still has its own hash.
  const fs::path result = folder_ / "adapter.safetensors";
  const TensorFile started = TensorFile::Open(start);
  SaveAdapter(whole->network(), started, result);
  const TensorFile saved = TensorFile::Open(result);
  EXPECT_EQ(saved.metadata(), started.metadata());
  EXPECT_EQ(saved.tensors().size(), started.tensors().size());
  OpenOptions options;
  options.adapters = {{result, {}}};
  Model::Open(Base("7"), options);
}

TEST_P(AdapterTest, GradientThroughChunksIsThatOfWholeRows) {
  const fs::path start = folder_ / "start.safetensors";
  WriteAdapter(Base("7"), GetParam(), start);
  Stir(start);
  ThreadPool pool(2);
  const auto gradient = [&](size_t chunk) {
    LearnerOptions options;
    options.precision = DType::kF32;
    options.chunk = chunk;
    const auto learner = LearnerOf("7", start, pool, options);
    const auto rows = Rows();
    learner->Step(rows, rows.size(), 1e-3);
    const auto g = learner->network().gradients();
    return std::vector<float>(g.begin(), g.end());
  };
  EXPECT_LT(goldens::Error(gradient(7), gradient(0)), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Kinds, AdapterTest,
                         testing::Values(AdapterKind::kLora, AdapterKind::kPissa,
                                         AdapterKind::kDisha),
                         [](const auto& test) { return std::string(Name(test.param)); });

// PiSSA begins as the best copy of its rank: with one direction more, nothing is left.
TEST(PrincipalFactors, AreTheLargestSingularValues) {
  const test::TemporaryFolder folder;
  const fs::path path = folder / "w.safetensors";
  // U S V^T with S = 8, 4, 2, 1 on signs that are orthogonal: Hadamard's columns.
  const size_t n = 8;
  const auto sign = [](size_t i, size_t j) {
    return __builtin_popcount(static_cast<unsigned>(i & j)) % 2 == 0 ? 1.0f : -1.0f;
  };
  Values w{"w", {n, n}, std::vector<float>(n * n)};
  for (size_t k = 0; k < 4; ++k) {
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        w.values[i * n + j] += static_cast<float>(8 >> k) * sign(i, k + 1) * sign(j, 7 - k) / n;
      }
    }
  }
  WriteValues(path, {w});
  const TensorFile file = TensorFile::Open(path);
  ThreadPool pool(2);
  for (const size_t rank : {1, 2, 4, 6}) {
    std::vector<float> random(rank * n);
    for (size_t i = 0; i < random.size(); ++i) {
      random[i] = std::sin(static_cast<float>(3 * i * i + 1));
    }
    const auto f = FindPrincipalFactors(*file.Find("w"), rank, random, pool);
    double left = 0;
    for (size_t i = 0; i < n; ++i) {
      for (size_t j = 0; j < n; ++j) {
        double x = w.values[i * n + j];
        for (size_t k = 0; k < rank; ++k) x -= double{f.up[i * rank + k]} * f.down[k * n + j];
        left += x * x;
      }
    }
    double expected = 0;
    for (size_t k = rank; k < 4; ++k) expected += std::pow(8 >> k, 2);
    EXPECT_NEAR(left, expected, 1e-4) << rank;
  }
}

}  // namespace
}  // namespace linnet
