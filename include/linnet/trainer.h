// Trainer: a model that learns a step at a time, in a program of one's own.
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

// Writes a model that knows nothing yet, with the values that RWKV-LM's trainers begin with: f32,
// BlinkDL's names, .pth or safetensors by the ending. They depend on sizes and seed alone. Throws
// Error: kBadInput naming the size that does not fit, kIo.
void WriteNewModel(const InitSizes& sizes, uint64_t seed, const std::filesystem::path& path);

// A row to learn from: targets[t] is what is to follow inputs[0] ... inputs[t].
struct SampleRow {
  std::vector<int32_t> inputs, targets;  // [ctx]; a target of -1 is not learnt
  // Where documents, or parts of one, begin: the state is reset there. The first is 0, and each is
  // above the one before.
  std::vector<uint32_t> starts;
};

// The row in which each of at least two tokens but the first is learnt from those before it.
SampleRow RowOf(std::span<const int32_t> tokens);

struct TrainerOptions {
  size_t threads = 0;              // 0: the cores this process may use
  DType precision = DType::kBF16;  // of products: kBF16 or kF32; all else is f32
  bool recompute = false;          // run layers again for their gradient instead of keeping them
  size_t rows_per_pass = 0;        // rows that go through together; 0: all
  // Tokens of a row that go through at once, its states carried on: rows longer than memory would
  // hold, one at a time; 0: whole rows. And how many such chunks a gradient goes back through
  // before it is cut; 0: all of them.
  size_t chunk = 0, bptt = 0;
  bool l2wrap = true;         // RWKV-LM's: the largest logit is pulled towards zero
  double clip = 1;            // of the gradient's norm; 0: none
  double weight_decay = 0.1;  // of matrices, embedding and head
  float dropout = 0;          // share of values left out after each mix
  uint64_t seed = 1;          // of dropout
  // Which parameters learn, by BlinkDL's names, or by the adapter's if one learns
  // ("blocks.0.att.key.lora_A"); all if not set.
  std::function<bool(const std::string& name)> learns{};
  bool skip_spikes = false;  // go on without the update, instead of throwing
  // A file of WriteNewAdapter's or WriteNewStates' (linnet/adapter.h), or what became of one: it
  // learns, and the model stays as it is. Empty: the model learns.
  std::filesystem::path adapter{};
  // The format of matrices that do not learn, instead of the file's own.
  std::optional<DType> quant{};
};

struct StepReport {
  double loss = 0;  // mean cross entropy of the learnt tokens, before the update, without L2Wrap
  double grad_norm = 0;   // before clipping
  uint64_t tokens = 0;    // learnt
  bool skipped = false;   // by skip_spikes
  std::string trouble{};  // what was wrong then
};

// RWKV-LM's recipe: AdamW (0.9, 0.99, 1e-18) with its parameter groups, a step at a time; the
// schedule and the data are the caller's. Holds what learns four times in f32: values, gradients,
// two moments. One thread at a time. Values depend on the rows, their order and the rates, on
// precision, chunk and bptt; not on threads, recompute, or on rows_per_pass if it halves the rows
// evenly.
class Trainer {
 public:
  // Of any checkpoint that Model::Open reads. Throws what that throws, and Error kBadInput if
  // nothing is left to learn, the adapter is not the model's, or an option is out of its range.
  static Trainer Open(const std::filesystem::path& model, const TrainerOptions& options = {});
  ~Trainer();
  Trainer(Trainer&&) noexcept;
  Trainer& operator=(Trainer&&) noexcept;

  // Learns from all rows at once, at this learning rate. Throws Error kBadInput if there is none,
  // one is not as SampleRow says or has ids outside the vocabulary, or if the gradient is no number
  // or far above those before: with skip_spikes only if a value is no number, or for the twentieth
  // such step in a row. Names step and tensor; the values are what they were then.
  StepReport Step(std::span<const SampleRow> rows, double rate);

  uint64_t steps() const;  // done
  const Config& config() const;
  // The model as it is now, for scoring and sampling; it changes with every step, in which it must
  // not run. May outlive the trainer.
  Model AsModel() const;

  // What Restore needs to go on bit for bit: values that learn, moments and counters, as a
  // safetensors file; if the model learns, Model::Open reads it too. Written whole or not at all.
  // Throws Error kIo, or kBadInput for a .pth.
  void Save(const std::filesystem::path& path);
  // Into a trainer of the same model and options. Throws Error kIo, or kBadInput if the file is
  // broken or of another model.
  void Restore(const std::filesystem::path& path);

  // The whole model under BlinkDL's names, .pth or safetensors by the ending, in kBF16, kF16 or
  // kF32. Throws Error: kIo, kBadInput for another type or if an adapter learns, whose place is
  // beside the model (`linnet merge` joins them).
  void SaveModel(const std::filesystem::path& path, DType type = DType::kBF16) const;
  // The adapter or states that learn, f32, for OpenOptions::adapters; states .pth or safetensors by
  // the ending, adapters safetensors. Throws Error: kIo, kBadInput if the model itself learns.
  void SaveAdapter(const std::filesystem::path& path) const;

  class Impl;

 private:
  explicit Trainer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_TRAINER_H_
