// Network: a checkpoint's parameters and the equations of its generation, ready to run.
#ifndef LINNET_MODELS_NETWORK_H_
#define LINNET_MODELS_NETWORK_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linnet/config.h"
#include "models/binder.h"
#include "models/block.h"
#include "models/names.h"
#include "ops/loss.h"
#include "ops/pass.h"

namespace linnet {

// Throws what Network::Bind would throw for this checkpoint, without reading any matrix.
void CheckParameters(const Checkpoint& model, const Config& config, ThreadPool& pool);

// Immutable except for trained parameters, so passes without a tape may overlap.
class Network {
 public:
  // Packs the parameters; the checkpoint is kept for its embedding. Throws Error kBadModel naming
  // the first tensor that is missing or has the wrong shape.
  static std::unique_ptr<Network> Bind(Checkpoint checkpoint, const Config& config,
                                       ThreadPool& pool, const BindOptions& options);
  // A network with the same parameters and its own gradients, initially zero; this one must outlive
  // it. Passes with tapes may then overlap. A twin has no parameters() and no values().
  std::unique_ptr<Network> Twin(ThreadPool& pool) const;

  const Config& config() const { return config_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  // The bound matrices by name.
  const std::map<std::string, LinearParam>& matrices() const { return store_.matrices; }
  const std::vector<Parameter>& parameters() const { return store_.parameters; }
  // The gradients of all trained parameters, in the order of parameters(), and their values if
  // `trained` is set.
  std::span<float> gradients() const;
  std::span<float> values() const;
  // Call after values changed: repacks the matrices that products read.
  void Repack(ThreadPool& pool) const;
  const ModelCost& cost() const { return store_.cost; }
  StateStrides strides() const { return {strides_}; }

  // Writes an adapter's tuned state, if any, into the state of a new sequence.
  void Start(float* state) const;
  bool start_learns() const;
  // Call after the tape ran: adds the segments' state_grad to the gradient of the tuned state. Sums
  // in order within a sequence, then pairwise over halves of the sequences.
  void AddStartGradients(const Pass& p) const;

  // Returns the residual stream after the last layer, [tokens, C]. p.segments must cover the
  // tokens. In inference the arena holds little more than one layer's rows.
  Var Run(Pass& p, std::span<const int32_t> tokens) const;

  // What the head reads: LN(x; ln_out).
  Var HeadInput(Pass& p, Var x) const;
  // logits = head · LN(x; ln_out), [rows, V].
  void Head(Pass& p, Var x, Mat<float> logits) const;

  // Computes the losses from those logits without storing all of them (ops/loss.h).
  void Loss(Pass& p, Var x, std::span<const int32_t> targets, const LossOptions& options,
            std::span<double> losses) const;

 private:
  // The residual stream before or after a block, and what was handed on so far.
  struct BlockRows {
    Var x;
    Carry carry;
  };

  Network(std::shared_ptr<const Checkpoint> checkpoint, const Config& config);
  void BindAll(Binder& binder);
  Var Embed(Pass& p, std::span<const int32_t> tokens) const;
  Var Layers(Pass& p, Var x, Carry carry) const;
  // With a tape: stores only the input of each layer, and runs the layer again for its backward
  // pass.
  Var RecomputedLayers(Pass& p, Var x, Carry carry) const;
  void BlockBackward(Pass& p, size_t layer, const float* states, BlockRows in, BlockRows out) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  Config config_;
  std::vector<LayerStrides> strides_;
  ParamStore store_;
  std::vector<std::unique_ptr<Block>> blocks_;
  TableParam embedding_;
  NormParam ln0_, ln_out_;
  LinearParam head_;
  std::vector<std::vector<Var>> start_;  // [layers][heads], or empty
};

}  // namespace linnet

#endif  // LINNET_MODELS_NETWORK_H_
