#include "models/network.h"

#include <algorithm>
#include <new>
#include <utility>

#include "kernels/matmul.h"
#include "kernels/rows.h"
#include "linnet/error.h"
#include "models/detect.h"
#include "models/rows_to_finish.h"
#include "models/schema.h"
#include "models/table.h"
#include "ops/product.h"
#include "ops/sum_tree.h"

namespace linnet {
namespace {

// Copies the segments' states of all layers, so that layers can be run again from them.
const float* CopyStatesOf(Pass& p) {
  const size_t floats = p.strides.floats();
  float* copy = p.Scratch(p.segments.size() * floats);
  for (size_t i = 0; i < p.segments.size(); ++i) {
    std::copy_n(p.segments[i].state, floats, copy + i * floats);
  }
  return copy;
}

// Of the layer p.layer.
void RestoreStates(const Pass& p, const float* states) {
  const LayerStrides& layer = p.strides.layers[p.layer];
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const float* from = states + i * p.strides.floats() + layer.begin;
    std::copy_n(from, layer.floats(), p.segments[i].state + layer.begin);
  }
}

void CopyRows(Mat<const float> from, Mat<float> to) {
  for (size_t t = 0; t < from.rows; ++t) std::copy_n(from.Row(t), from.cols, to.Row(t));
}

Var CopyOf(Pass& p, Var x) {
  const Var copy = p.New(x.rows(), x.cols());
  CopyRows(x.v, copy.v);
  return copy;
}

// The values that `after` has and `before` had not.
std::vector<Var*> Added(Carry& before, Carry& after) {
  std::vector<Var*> added;
  const auto old = before.vars(), now = after.vars();
  for (size_t i = 0; i < now.size(); ++i) {
    if (now[i]->v.data != old[i]->v.data) added.push_back(now[i]);
  }
  return added;
}

}  // namespace

Network::Network(std::shared_ptr<const Checkpoint> checkpoint, const Config& config)
    : checkpoint_(std::move(checkpoint)),
      config_(config),
      strides_(StridesOf(StateShapeOf(config))) {}

std::unique_ptr<Network> Network::Bind(Checkpoint checkpoint, const Config& config,
                                       ThreadPool& pool, const BindOptions& options) {
  std::unique_ptr<Network> network(
      new Network(std::make_shared<const Checkpoint>(std::move(checkpoint)), config));
  Network& n = *network;
  if (options.gradients && config.purpose != Purpose::kText) {
    throw Error(ErrorKind::kBadModel,
                NoTextOf(config.purpose, n.checkpoint_->file().path().string()) +
                    ", and what it does cannot be trained");
  }
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
  std::unique_ptr<Network> twin(new Network(checkpoint_, config_));
  BindOptions options;
  options.twin = &store_;
  Binder b(*checkpoint_, config_, twin->store_, pool, options);
  twin->BindAll(b);
  return twin;
}

void Network::BindAll(Binder& b) {
  embedding_ = b.Rows("emb.weight");
  ln0_ = b.Norm("blocks.0.ln0");
  for (size_t layer = 0; layer < config_.layers; ++layer) {
    BlockBinder block(b, layer);
    blocks_.push_back(SchemaOf(config_.generation, layer, config_.attention_from).bind(block));
  }
  for (size_t layer = 0; layer < config_.layers; ++layer) {
    if (strides_[layer].wkv == 0) continue;
    auto start = b.StartState(layer, config_.heads, config_.head_size);
    if (!start.empty()) start_.push_back(std::move(start));
  }
  ln_out_ = b.Norm("ln_out");
  if (config_.purpose == Purpose::kText) head_ = b.Matrix("head.weight");
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
  const BlockSchema& schema = SchemaOf(config_.generation);
  const Var x = Embed(p, tokens);
  p.tokens = tokens;
  // Without a tape the residual stream overwrites x.
  if (schema.reads_embedding) p.embedding = p.tape ? x : CopyOf(p, x);
  Carry carry;
  if (HasAttention(config_.generation)) {
    carry.rows = new (p.arena.New<RowsToFinish>(1))
        RowsToFinish(p, [&](std::span<const int32_t> ids) { return Embed(p, ids); });
  }
  return Layers(p, x, carry);
}

Var Network::Layers(Pass& p, Var x, Carry carry) const {
  if (p.tape != nullptr && p.recompute) return RecomputedLayers(p, x, carry);
  Arena::Mark mark = p.arena.mark();
  for (p.layer = 0; p.layer < blocks_.size(); ++p.layer) {
    Carry before = carry;
    x = blocks_[p.layer]->Run(p, config_, x, carry);
    if (p.tape != nullptr) continue;
    if (!Added(before, carry).empty()) mark = p.arena.mark();
    p.arena.Rewind(mark);
  }
  return x;
}

Var Network::RecomputedLayers(Pass& p, Var x, Carry carry) const {
  Tape* const tape = p.tape;
  const float* states = CopyStatesOf(p);
  for (p.layer = 0; p.layer < blocks_.size(); ++p.layer) {
    const Var out = p.New(x.rows(), x.cols());
    const Arena::Mark mark = p.arena.mark();
    Carry before = carry;
    p.tape = nullptr;
    const Var y = blocks_[p.layer]->Run(p, config_, CopyOf(p, x), carry);
    p.tape = tape;
    CopyRows(y.v, out.v);
    const auto added = Added(before, carry);
    if (added.empty()) p.arena.Rewind(mark);
    for (Var* v : added) {
      const Var fresh = p.New(v->rows(), v->cols());
      v->g = fresh.g;
      v->uninitialized = fresh.uninitialized;
    }
    p.OnBackward([this, &p, x, out, before, after = carry, states, layer = p.layer] {
      BlockBackward(p, layer, states, {x, before}, {out, after});
    });
    x = out;
  }
  return x;
}

void Network::BlockBackward(Pass& p, size_t layer, const float* states, BlockRows in,
                            BlockRows out) const {
  const Arena::Scope scope(p.arena);
  Tape* const outer = p.tape;
  Tape tape;
  p.tape = &tape;
  p.layer = layer;
  RestoreStates(p, states);
  Carry carry = in.carry;
  const Var y = blocks_[layer]->Run(p, config_, in.x, carry);
  for (const Var& var : {out.x, y}) var.InitGradient();
  CopyRows(out.x.g, y.g);
  // The gradients from later layers of what this one handed on.
  const auto here = Added(in.carry, carry), later = Added(in.carry, out.carry);
  for (size_t i = 0; i < here.size(); ++i) {
    for (const Var* v : {here[i], later[i]}) v->InitGradient();
    const Mat<float> from = later[i]->g, to = here[i]->g;
    for (size_t t = 0; t < from.rows; ++t) AddScaledRow(from.Row(t), 1.0f, from.cols, to.Row(t));
  }
  tape.Backward();
  p.tape = outer;
}

void Network::Loss(Pass& p, Var x, std::span<const int32_t> targets, const LossOptions& options,
                   std::span<double> losses) const {
  HeadLoss(p, HeadInput(p, x), head_, targets, options, losses);
}

Var Network::HeadInput(Pass& p, Var x) const {
  return Norm(p, x, 1, ln_out_.gain, ln_out_.bias, config_.norm_eps);
}

void Network::Head(Pass& p, Var x, Mat<float> logits) const {
  MappedLinear(p, HeadInput(p, x), head_, {.v = logits, .g = {}}, nullptr, nullptr);
}

}  // namespace linnet
