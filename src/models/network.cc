#include "models/network.h"

#include <algorithm>
#include <new>
#include <type_traits>
#include <utility>

#include "kernels/matmul.h"
#include "kernels/rows.h"
#include "linnet/error.h"
#include "models/rwkv4.h"
#include "models/rwkv5.h"
#include "models/rwkv6.h"
#include "models/rwkv6moe.h"
#include "models/rwkv7.h"
#include "models/rwkv7a.h"
#include "models/schema.h"
#include "models/table.h"
#include "ops/dropout.h"
#include "ops/sum_tree.h"

namespace linnet {
namespace {

// Copies the segments' states of all layers, so that layers can be run again from them.
const float* CopyStatesOf(Pass& p, size_t blocks) {
  const size_t floats = p.strides.layer_floats() * blocks;
  float* copy = p.Scratch(p.segments.size() * floats);
  for (size_t i = 0; i < p.segments.size(); ++i) {
    std::copy_n(p.segments[i].state, floats, copy + i * floats);
  }
  return copy;
}

void RestoreStates(const Pass& p, const float* states, size_t blocks) {
  const size_t floats = p.strides.layer_floats();
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const float* from = states + (i * blocks + p.layer) * floats;
    std::copy_n(from, floats, p.segments[i].state + p.layer * floats);
  }
}

Var CopyOf(Pass& p, Var x) {
  const Var copy = p.New(x.rows(), x.cols());
  for (size_t t = 0; t < x.rows(); ++t) std::copy_n(x.v.Row(t), x.cols(), copy.v.Row(t));
  return copy;
}

template <GenerationOfRwkv G>
class NetworkOf final : public Network {
 public:
  NetworkOf(std::shared_ptr<const Checkpoint> checkpoint, const Config& config)
      : Network(std::move(checkpoint), config) {}

 private:
  struct Block {
    NormParam ln1, ln2;
    typename G::Layer layer;
  };

  void BindLayers(Binder& b) override {
    for (size_t i = 0; i < config().layers; ++i) {
      BlockBinder block(b, i);
      NormParam ln1 = block.Norm("ln1"), ln2 = block.Norm("ln2");
      blocks_.push_back({ln1, ln2, G::Bind(block)});
    }
  }

  Var Layers(Pass& p, Var x) const override {
    if (p.tape != nullptr && p.recompute) return Recomputed(p, x);
    typename G::Carry carry;
    Arena::Mark mark = p.arena.mark();
    for (p.layer = 0; p.layer < blocks_.size(); ++p.layer) {
      x = Layer(p, x, carry);
      if (p.tape != nullptr) continue;
      // The carried values of layer 0 stay in the arena.
      if (p.layer == 0 && !std::is_empty_v<typename G::Carry>) mark = p.arena.mark();
      p.arena.Rewind(mark);
    }
    return x;
  }

  Var Layer(Pass& p, Var x, typename G::Carry& carry) const {
    const Block& w = blocks_[p.layer];
    const auto norm = [&](const NormParam& ln) {
      return Norm(p, x, 1, ln.gain, ln.bias, config().norm_eps);
    };
    x = AddResidualInPlace(p, x,
                           Dropout(p, G::TimeMix(p, config(), w.layer, norm(w.ln1), carry), 0));
    return AddResidualInPlace(p, x, Dropout(p, G::ChannelMix(p, w.layer, norm(w.ln2)), 1));
  }

  // With a tape: stores only the input of each layer, and runs the layer again for its backward
  // pass.
  Var Recomputed(Pass& p, Var x) const {
    Tape* const tape = p.tape;
    const float* states = CopyStatesOf(p, blocks_.size());
    auto* carry = new (p.arena.New<typename G::Carry>(1)) typename G::Carry;
    for (p.layer = 0; p.layer < blocks_.size(); ++p.layer) {
      const Var out = p.New(x.rows(), x.cols());
      const Arena::Mark mark = p.arena.mark();
      p.tape = nullptr;
      const Var y = Layer(p, CopyOf(p, x), *carry);
      p.tape = tape;
      for (size_t t = 0; t < y.rows(); ++t) std::copy_n(y.v.Row(t), y.cols(), out.v.Row(t));
      if (p.layer != 0 || std::is_empty_v<typename G::Carry>) {
        p.arena.Rewind(mark);
      } else {
        carry->EachVar([&](Var& v) {
          const Var fresh = p.New(v.rows(), v.cols());
          v.g = fresh.g;
          v.uninitialized = fresh.uninitialized;
        });
      }
      p.OnBackward([this, &p, x, out, carry, states, layer = p.layer] {
        LayerBackward(p, x, out, *carry, states, layer);
      });
      x = out;
    }
    return x;
  }

  void LayerBackward(Pass& p, Var x, Var out, typename G::Carry carry, const float* states,
                     size_t layer) const {
    const Arena::Scope scope(p.arena);
    Tape* const outer = p.tape;
    Tape tape;
    p.tape = &tape;
    p.layer = layer;
    RestoreStates(p, states, blocks_.size());
    std::vector<Var> carried;
    carry.EachVar([&](Var& v) { carried.push_back(v); });
    const Var y = Layer(p, x, carry);
    for (const Var& var : {out, y}) var.InitGradient();
    for (size_t t = 0; t < y.rows(); ++t) std::copy_n(out.g.Row(t), y.cols(), y.g.Row(t));
    if (layer == 0) {  // gradients from later layers of the values carried from layer 0
      size_t i = 0;
      carry.EachVar([&](Var& v) {
        carried[i].InitGradient();
        v.InitGradient();
        const Mat<float> g = carried[i++].g;
        for (size_t t = 0; t < g.rows; ++t) AddScaledRow(g.Row(t), 1.0f, g.cols, v.g.Row(t));
      });
    }
    tape.Backward();
    p.tape = outer;
  }

  std::vector<Block> blocks_;
};

template <class G>
std::unique_ptr<Network> New(std::shared_ptr<const Checkpoint> checkpoint, const Config& c) {
  return std::make_unique<NetworkOf<G>>(std::move(checkpoint), c);
}

std::unique_ptr<Network> NewNetwork(std::shared_ptr<const Checkpoint> checkpoint, const Config& c) {
  switch (c.generation) {
    case Generation::k4:
      return New<Rwkv4>(std::move(checkpoint), c);
    case Generation::k50:
      return New<Rwkv5<Generation::k50>>(std::move(checkpoint), c);
    case Generation::k51:
      return New<Rwkv5<Generation::k51>>(std::move(checkpoint), c);
    case Generation::k52:
      return New<Rwkv5<Generation::k52>>(std::move(checkpoint), c);
    case Generation::k6:
      return New<Rwkv6>(std::move(checkpoint), c);
    case Generation::k6moe:
      return New<Rwkv6Moe>(std::move(checkpoint), c);
    case Generation::k7a:
      return New<Rwkv7a>(std::move(checkpoint), c);
    case Generation::k7:
      break;
  }
  return New<Rwkv7>(std::move(checkpoint), c);
}

}  // namespace

Network::Network(std::shared_ptr<const Checkpoint> checkpoint, const Config& config)
    : checkpoint_(std::move(checkpoint)), config_(config) {
  const StateShape shape{config.generation, config.layers,    config.width,
                         config.heads,      config.head_size, {}};
  strides_ = {config.width, shape.wkv_floats()};
}

std::unique_ptr<Network> Network::Bind(Checkpoint checkpoint, const Config& config,
                                       ThreadPool& pool, const BindOptions& options) {
  auto network = NewNetwork(std::make_shared<const Checkpoint>(std::move(checkpoint)), config);
  Network& n = *network;
  Binder b(*n.checkpoint_, n.config_, n.store_, pool, options);
  n.BindAll(b);
  b.RefuseUnknown();
  if (options.gradients && !n.head_.deltas.empty()) {
    throw Error(ErrorKind::kBadInput, options.adapters.front().file().path().string() +
                                          ": has an adapter of head.weight, which cannot be "
                                          "trained; only those of the layers can");
  }
  return network;
}

std::unique_ptr<Network> Network::Twin(ThreadPool& pool) const {
  auto twin = NewNetwork(checkpoint_, config_);
  BindOptions options;
  options.twin = &store_;
  Binder b(*checkpoint_, config_, twin->store_, pool, options);
  twin->BindAll(b);
  return twin;
}

void Network::BindAll(Binder& b) {
  embedding_ = b.Rows("emb.weight");
  ln0_ = b.Norm("blocks.0.ln0");
  BindLayers(b);
  for (size_t layer = 0; layer < config_.layers; ++layer) {
    auto start = b.StartState(layer, config_.heads, config_.head_size);
    if (!start.empty()) start_.push_back(std::move(start));
  }
  ln_out_ = b.Norm("ln_out");
  head_ = b.Matrix("head.weight");
}

void CheckParameters(const Checkpoint& model, const Config& config, ThreadPool& pool) {
  BindOptions options;
  options.shapes_only = true;
  Network::Bind(Checkpoint(model.file().Again()), config, pool, options);
}

void Network::Start(float* state) const {
  for (size_t layer = 0; layer < start_.size(); ++layer) {
    float* to = strides().Layer(state, layer).wkv.data();
    for (const Var& head : start_[layer]) {
      to = std::copy_n(head.v.data, head.rows() * head.cols(), to);
    }
  }
}

bool Network::start_learns() const {
  return std::any_of(start_.begin(), start_.end(), [](const auto& heads) {
    return std::any_of(heads.begin(), heads.end(), [](const Var& v) { return v.tracked(); });
  });
}

void Network::AddStartGradients(const Pass& p) const {
  const TrainingSequence all{0, SIZE_MAX};
  const auto sequences = p.sequences.empty() ? std::span(&all, 1) : p.sequences;
  const size_t n = config_.head_size * config_.head_size;
  p.pool.For(start_.size() * config_.heads, [&](size_t task) {
    const size_t layer = task / config_.heads, head = task % config_.heads;
    const Var& start = start_[layer][head];
    if (!start.tracked()) return;
    std::vector<float> sums((1 + SumTreeDepth(sequences.size())) * n);
    const auto leaf = [&](size_t i, float* to) {
      std::fill_n(to, n, 0.0f);
      for (const Segment& s : p.segments) {
        if (s.begin < sequences[i].begin || s.begin - sequences[i].begin >= sequences[i].len)
          continue;
        AddRow(to, p.strides.Layer(s.state_grad, layer).wkv.data() + head * n, n, to);
      }
    };
    SumInHalves(0, sequences.size(), n, leaf, sums.data(), sums.data() + n);
    AddRow(start.g.data, sums.data(), n, start.g.data);
  });
}

std::span<float> Network::gradients() const {
  return {reinterpret_cast<float*>(store_.gradients.data()), store_.learning};
}

std::span<float> Network::values() const {
  return {reinterpret_cast<float*>(store_.values.data()), store_.learning};
}

void Network::Repack(ThreadPool& pool) const {
  for (const Parameter& p : store_.parameters) {
    if (p.panels == nullptr) continue;
    const size_t bytes = PanelBytes(p.dtype, p.v.cols);
    pool.For((p.v.rows + kPanelRows - 1) / kPanelRows, [&](size_t panel) {
      const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, p.v.rows - begin);
      PackPanel(p.dtype, p.v.Row(begin), p.v.stride, count, p.v.cols, p.panels + panel * bytes);
    });
  }
}

Var Network::Embed(Pass& p, std::span<const int32_t> tokens) const {
  const Var x = GatherRows(p, embedding_, tokens);
  return Norm(p, x, 1, ln0_.gain, ln0_.bias, config_.norm_eps);
}

Var Network::Run(Pass& p, std::span<const int32_t> tokens) const {
  const Var x = Embed(p, tokens);
  p.tokens = tokens;
  // Without a tape the residual stream overwrites x.
  if (SchemaOf(config_.generation).reads_embedding) p.embedding = p.tape ? x : CopyOf(p, x);
  return Layers(p, x);
}

void Network::Loss(Pass& p, Var x, std::span<const int32_t> targets, const LossOptions& options,
                   std::span<double> losses) const {
  HeadLoss(p, Norm(p, x, 1, ln_out_.gain, ln_out_.bias, config_.norm_eps), head_, targets, options,
           losses);
}

Var Network::Head(Pass& p, Var x) const {
  return Linear(p, Norm(p, x, 1, ln_out_.gain, ln_out_.bias, config_.norm_eps), head_);
}

}  // namespace linnet
