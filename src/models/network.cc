#include "models/network.h"

#include <type_traits>
#include <utility>

#include "kernels/rows.h"
#include "models/rwkv4.h"
#include "models/rwkv5.h"
#include "models/rwkv6.h"
#include "models/rwkv7.h"

namespace linnet {
namespace {

constexpr float kNormEps = 1e-5f;  // of every LayerNorm, in all generations

template <GenerationOfRwkv G>
class NetworkOf final : public Network {
 public:
  NetworkOf(Checkpoint checkpoint, const Config& config) : Network(std::move(checkpoint), config) {}

 private:
  struct Block {
    NormParam ln1, ln2;
    typename G::Layer layer;
  };

  void BindLayers(Binder& b) override {
    const size_t C = config().width;
    for (size_t i = 0; i < config().layers; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      NormParam ln1 = b.Norm(block + "ln1", C), ln2 = b.Norm(block + "ln2", C);
      blocks_.push_back({ln1, ln2, G::Bind(b, config(), i)});
    }
  }

  Var Layers(Pass& p, Var x) const override {
    typename G::Carry carry;
    Arena::Mark mark = p.arena.mark();
    for (p.layer = 0; p.layer < blocks_.size(); ++p.layer) {
      const Block& w = blocks_[p.layer];
      const auto norm = [&](const NormParam& ln) {
        return Norm(p, x, 1, ln.gain, ln.bias, kNormEps);
      };
      x = Residual(p, x, G::TimeMix(p, config(), w.layer, norm(w.ln1), carry));
      x = Residual(p, x, G::ChannelMix(p, w.layer, norm(w.ln2)));
      if (p.tape != nullptr) continue;
      // Layer 0 leaves what it hands on in the arena.
      if (p.layer == 0 && !std::is_empty_v<typename G::Carry>) mark = p.arena.mark();
      p.arena.Rewind(mark);
    }
    return x;
  }

  std::vector<Block> blocks_;
};

template <class G>
std::unique_ptr<Network> New(Checkpoint checkpoint, const Config& c) {
  return std::make_unique<NetworkOf<G>>(std::move(checkpoint), c);
}

std::unique_ptr<Network> NewNetwork(Checkpoint checkpoint, const Config& c) {
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
    case Generation::k7:
      break;
  }
  return New<Rwkv7>(std::move(checkpoint), c);
}

}  // namespace

Network::Network(Checkpoint checkpoint, const Config& config)
    : checkpoint_(std::move(checkpoint)), config_(config) {}

std::unique_ptr<Network> Network::Bind(Checkpoint checkpoint, const Config& config,
                                       ThreadPool& pool, const BindOptions& options) {
  auto network = NewNetwork(std::move(checkpoint), config);
  Network& n = *network;
  Binder b(n.checkpoint_, n.config_, n.store_, pool, options);
  const size_t C = config.width;
  n.embedding_grad_ = b.TableGradient("emb.weight", config.vocab, C);
  n.embedding_ = *n.checkpoint_.Find("emb.weight");
  const DType table = options.packing.TableType(n.embedding_);
  if (table != OwnType(n.embedding_)) n.rounding_ = table;
  n.ln0_ = b.Norm("blocks.0.ln0", C);
  n.BindLayers(b);
  n.ln_out_ = b.Norm("ln_out", C);
  n.head_ = b.Matrix("head.weight", config.vocab, C);
  return network;
}

StateLayout Network::layout() const {
  const size_t A = config_.att_width;
  const bool v4 = config_.generation == Generation::k4;
  return {config_.width, v4 ? 3 * A : A * config_.head_size};
}

Var Network::Embed(Pass& p, std::span<const int32_t> tokens) const {
  Var x = p.New(tokens.size(), config_.width);
  if (embedding_grad_.empty()) x.g = {};
  for (size_t t = 0; t < tokens.size(); ++t) {
    ReadRows(embedding_, static_cast<size_t>(tokens[t]), 1, x.v.Row(t));
    if (rounding_) RoundTableRow(*rounding_, config_.width, x.v.Row(t));
  }
  if (x.tracked()) {
    const std::vector<int32_t> ids(tokens.begin(), tokens.end());
    p.OnBackward([x, ids, g = embedding_grad_] {
      for (size_t t = 0; t < ids.size(); ++t) {
        AddScaledRow(x.g.Row(t), 1.0f, g.cols, g.Row(static_cast<size_t>(ids[t])));
      }
    });
  }
  return Norm(p, x, 1, ln0_.gain, ln0_.bias, kNormEps);
}

Var Network::Run(Pass& p, std::span<const int32_t> tokens) const {
  return Layers(p, Embed(p, tokens));
}

void Network::Loss(Pass& p, Var x, std::span<const int32_t> targets, const LossOptions& options,
                   std::span<double> losses) const {
  HeadLoss(p, Norm(p, x, 1, ln_out_.gain, ln_out_.bias, kNormEps), head_, targets, options, losses);
}

Var Network::Head(Pass& p, Var x) const {
  return Linear(p, Norm(p, x, 1, ln_out_.gain, ln_out_.bias, kNormEps), head_);
}

}  // namespace linnet
