// Trainer: trains a model step by step from your own program.
#ifndef LINNET_TRAINER_H_
#define LINNET_TRAINER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linnet/config.h"
#include "linnet/dtype.h"
#include "linnet/error.h"
#include "linnet/model.h"

namespace linnet {

// Writes an untrained model, with the initial values of RWKV-LM's trainers: f32, BlinkDL's names,
// .pth or safetensors by the file extension. The values depend only on sizes and seed. Throws
// Error: kBadInput naming the size that does not fit, kIo.
void WriteNewModel(const InitSizes& sizes, uint64_t seed, const std::filesystem::path& path);

// A training row: targets[t] is the token to predict from inputs[0] ... inputs[t].
struct SampleRow {
  std::vector<int32_t> inputs, targets;  // [ctx]; targets of -1 are ignored
  // Where documents, or parts of one, begin: the state is reset there. The first is 0; ascending,
  // no duplicates.
  std::vector<uint32_t> starts;
};

// Makes a row from at least two tokens, in which each token after the first is predicted from those
// before it.
SampleRow RowOf(std::span<const int32_t> tokens);

struct TrainerOptions {
  size_t threads = 0;              // 0: the cores this process may use
  DType precision = DType::kBF16;  // of products: kBF16 or kF32; the rest is f32
  bool recompute = false;          // run layers again for the backward pass to save memory
  size_t rows_per_pass = 0;        // rows processed together; 0: all
  // Tokens of a row that are processed at once, with the states carried over, for rows that are too
  // long for memory; 0: whole rows. `bptt` is how many such chunks a gradient passes back through
  // before it is truncated; 0: all of them.
  size_t chunk = 0, bptt = 0;
  bool l2wrap = true;         // RWKV-LM's: pulls the largest logit towards zero
  double clip = 1;            // of the gradient's norm; 0: none
  double weight_decay = 0.1;  // of matrices, embedding and head
  float dropout = 0;          // fraction of values dropped after each mix
  uint64_t seed = 1;          // of dropout
  // Selects the trained parameters, by BlinkDL's names, or by the adapter's names if an adapter is
  // trained ("blocks.0.att.key.lora_A"); all if not set.
  std::function<bool(const std::string& name)> learns{};
  bool skip_spikes = false;  // skip such updates instead of throwing
  // A file written by WriteNewAdapter or WriteNewStates (linnet/adapter.h), or saved by a trainer
  // from one. It is trained, and the model stays unchanged. Empty: the model is trained.
  std::filesystem::path adapter{};
  // The format of matrices that are not trained, instead of the file's own.
  std::optional<DType> quant{};
};

struct StepReport {
  double loss = 0;        // mean cross entropy per target, before the update, without L2Wrap
  double grad_norm = 0;   // before clipping
  uint64_t tokens = 0;    // tokens with a target
  bool skipped = false;   // by skip_spikes
  std::string trouble{};  // why it was skipped
};

// RWKV-LM's recipe: AdamW (0.9, 0.99, 1e-18) with its parameter groups. The caller supplies the
// schedule and the data. Stores trained parameters four times in f32: values, gradients, two
// moments. Not thread-safe. Results depend on the rows, their order and the rates, on precision,
// chunk and bptt. They do not depend on threads, recompute, or on rows_per_pass if it halves the
// rows evenly.
class Trainer {
 public:
  // Opens any checkpoint that Model::Open reads. Throws what that throws, and Error kBadInput if no
  // parameter is left to train, the adapter belongs to another model, or an option is out of range.
  static Trainer Open(const std::filesystem::path& model, const TrainerOptions& options = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // Trains on all rows at once, with this learning rate. Throws Error kBadInput if there are no
  // rows, a row is not as SampleRow says or has ids outside the vocabulary, or if the gradient is
  // not finite or far above earlier ones. With skip_spikes the gradient is an error only if a value
  // is not finite, or at the twentieth such step in a row. The message names step and tensor; the
  // values are unchanged.
  StepReport Step(std::span<const SampleRow> rows, double rate);

  uint64_t steps() const;  // done
  const Config& config() const;
  // The model with its current values, for scoring and sampling. Every step changes it, so it must
  // not run during a step. May outlive the trainer.
  Model AsModel() const;

  // Writes what Restore needs to continue bit for bit: trained values, moments and counters, as a
  // safetensors file. If the model is trained, Model::Open reads it too. The file appears only when
  // complete. Throws Error kIo, or kBadInput for a .pth.
  void Save(const std::filesystem::path& path);
  // Restores into a trainer with the same model and options. Throws Error kIo, or kBadInput if the
  // file is damaged or belongs to another model.
  void Restore(const std::filesystem::path& path);

  // Writes the whole model under BlinkDL's names, .pth or safetensors by the file extension, in
  // kBF16, kF16 or kF32. Throws Error: kIo; kBadInput for another type, or if an adapter is
  // trained, which is saved by SaveAdapter (`linnet merge` merges it into the model).
  void SaveModel(const std::filesystem::path& path, DType type = DType::kBF16) const;
  // Writes the trained adapter or states in f32, for OpenOptions::adapters. States are .pth or
  // safetensors by the file extension, adapters safetensors. Throws Error: kIo, kBadInput if the
  // model itself is trained.
  void SaveAdapter(const std::filesystem::path& path) const;

  class Impl;

 private:
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_TRAINER_H_
