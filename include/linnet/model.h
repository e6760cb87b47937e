// Model: RWKV weights that any number of threads can run at the same time.
#ifndef LINNET_MODEL_H_
#define LINNET_MODEL_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "linnet/config.h"
#include "linnet/dtype.h"
#include "linnet/error.h"
#include "linnet/state.h"

namespace linnet {

class Checkpoint;
class Network;
class StateLog;

// The name by which users select the model built into the library. A file or folder of the same
// name is given as `./builtin`.
inline constexpr std::string_view kBuiltInName = "builtin";

// A file with the tensors of a LoRA, PiSSA, DiSHA or other adapter, or with a tuned initial state.
// Applied while the model runs.
struct AdapterFile {
  std::filesystem::path path;
  // Multiplies the adapter's effect. Required for a LoRA file that does not store its alpha; it is
  // then alpha / rank.
  std::optional<float> scale{};
};

struct OpenOptions {
  // Epsilon of the group norm after WKV, for models trained with a value other than the released
  // models'.
  std::optional<float> ln_x_eps{};
  // Packs the matrices of the first `quant_layers` layers, and the head, in this format instead of
  // the file's own.
  std::optional<DType> quant{};
  size_t quant_layers = SIZE_MAX;
  // Applied on top of the model's matrices, which keep their formats. The model's hash does not
  // change.
  std::vector<AdapterFile> adapters{};
  // Of models with attention: how its states keep rows per token, and the most bytes that those of
  // one state may take; 0: half of the memory that is available when the model is opened.
  RowStorage rows = RowStorage::kF16;
  size_t row_limit = 0;
  // Of a mixture of experts whose file is not packed: how many bytes of experts are kept after they
  // were packed at their first use. 0: a quarter of the available memory.
  uint64_t expert_bytes = 0;
  // Open it even if it does not fit into the available memory.
  bool force = false;
  // Called during loading with the fraction done, 0 to 1.
  std::function<void(double)> progress{};
};

// An adapter for single turns, besides those that the model was opened with. Made by
// Model::LoadAdapter. Immutable.
class TurnAdapter {
 public:
  ~TurnAdapter();
  TurnAdapter(const TurnAdapter&) = delete;
  TurnAdapter& operator=(const TurnAdapter&) = delete;

  // 64 hex digits: of all bytes of its files and its scale.
  const std::string& digest() const;
  uint64_t bytes() const;   // of its factors in memory
  size_t matrices() const;  // that it changes

  struct Impl;

 private:
  friend class Model;
  explicit TurnAdapter(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One sequence's part of a forward pass. A turn of one token decodes, a longer one prefills; both
// kinds can be in the same pass.
struct Turn {
  std::span<const int32_t> tokens;  // at least one
  State* state = nullptr;           // advanced past `tokens`; no two turns share one
  std::span<float> logits;          // V values for each of the last n tokens; may be empty
  // Empty, or C sums to which the hidden states of `tokens` are added in order, as the head reads
  // them: the last layer's, normalized. Sums over any chunks of a text are the same bits.
  std::span<double> hidden_sum{};
  // Empty, or for each of `tokens` what its hidden state is multiplied with in that sum; with 0 it
  // is left out. For several sums, [n, C], the weights of each, [n, tokens].
  std::span<const float> hidden_weights{};
  // Of this turn only; the bits are those of a model that was opened with this adapter as its last
  // (of a DoRA up to rounding). The state must be of texts that had the same one, or it is mixed.
  const TurnAdapter* adapter = nullptr;
  // To the library (ops/state_log.h), which goes back to states between the tokens; not owned.
  StateLog* log = nullptr;
};

struct WorkspaceOptions {
  size_t threads = 0;  // 0: the cores this process may use
  // f32 activations in every product. Otherwise activations of products with bf16 weights may be
  // rounded to bf16. In both cases the results are bit-identical for any batch and any number of
  // threads.
  bool exact = false;
  size_t max_rows = 0;  // tokens per pass; 0: as many as keep activations in cache
};

struct IdentityOptions {
  // Tokenizer::Digest of the tokenizer, for what is kept by texts and not by tokens. A vocabulary
  // in the model's file is part of every identity.
  std::string tokenizer{};
  // The folder of the digests of files that were read before. By default $XDG_CACHE_HOME/linnet or
  // ~/.cache/linnet. If the path is empty, nothing is kept, and files are read once per Model.
  std::optional<std::filesystem::path> cache{};
};

// Threads and scratch memory for forward passes of any model. Runs one pass at a time.
class Workspace {
 public:
  // Throws Error kNoMemory if the system cannot start that many threads.
  explicit Workspace(const WorkspaceOptions& options = {});
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  size_t threads() const;

  // Calls body(0) to body(tasks - 1), in any order, on these threads; one task on the caller's.
  // Call it where Forward could be called. Throws what a task throws, after all have ended.
  void ForEach(size_t tasks, const std::function<void(size_t)>& body);

 private:
  friend class Model;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What a pass reads and computes.
struct ModelCost {
  // Bytes of all matrices as stored, including scales, low-rank factors and the head, without the
  // embedding. Decoding one token reads this much. Of the experts of a layer one is counted.
  uint64_t matrix_bytes = 0;
  // Multiply-adds per token in the layers' matrices, and in the head.
  uint64_t layer_macs = 0, head_macs = 0;
};

class Model {
 public:
  // Maps the file (.pth, .safetensors, .st, llama.cpp's .gguf, rwkv.cpp's .bin, a shard index) and
  // detects the generation from its tensors. Matrices are packed in the file's own precision.
  // Blocks of GGUF and .bin files are used as stored. The embedding is read from the file. A folder
  // means the model in it: released files, or a run of `linnet train`. For a run that is its final
  // model, or while it is still training its newest complete checkpoint.
  // Throws Error: kIo if the file cannot be read, kBadModel if it is not RWKV, kBadInput if an
  // adapter does not fit, kNoMemory if the model does not fit into memory.
  static Model Open(const std::filesystem::path& path, const OpenOptions& options = {});
  // The same for a file's bytes, which must outlive the model. `name` is used in messages and as
  // path(). A packed file is used in place, so its bytes must be aligned to 64; otherwise it is
  // refused.
  static Model FromMemory(std::span<const std::byte> bytes, const std::string& name,
                          const OpenOptions& options = {});
  // The small model built into the library, with its vocabulary, if the library was built with it.
  // Throws Error kBadModel if it was not.
  static bool HasBuiltIn();
  static Model BuiltIn(const OpenOptions& options = {});
  // A model as a user names it: kBuiltInName means BuiltIn, anything else is a path for Open. Open
  // itself treats every name as a path.
  static Model Named(const std::string& name, const OpenOptions& options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const Config& config() const;
  // The file that was opened. For a folder, the file in it; for a model in memory, its name.
  const std::filesystem::path& path() const;
  // The text of the vocabulary stored in the model's file, empty if there is none. TokenizerOf
  // parses it. Throws Error kBadModel if it is damaged.
  std::string vocabulary() const;
  // Hash of generation, shapes and a sample of each tensor; the same for every tensor naming.
  const std::string& hash() const;
  // The execution identity, 64 hex digits: if two are equal, the same tokens give the same bits in
  // logits and states. It depends on all bytes of the model's and the adapters' files, the formats,
  // scales and epsilons of OpenOptions, the workspace's mode (exact or default), the CPU's kind and
  // the current instruction-set level; not on threads, batch, or names of files. As no other
  // function does, it reads the files as a whole, at the first call or until their digests are kept
  // in IdentityOptions::cache. Concurrent calls are allowed, also while the workspace is in use.
  // Empty for the model of a trainer, whose weights change. Throws Error kIo if a file was
  // overwritten after it was opened.
  std::string Identity(const Workspace& workspace, const IdentityOptions& options = {}) const;
  StateShape state_shape() const;
  const ModelCost& cost() const;
  // The state at the start of a sequence: the default, or an adapter's tuned state.
  State NewState() const;

  // Loads an adapter that turns can choose; turns with different ones, or none, share a pass. It
  // must not be used after the model is gone. Throws Error: kIo, kBadInput if it does not fit, or
  // cannot be applied to single turns: if it changes the head or whole tensors, is a Bone, or
  // contains a tuned state.
  std::shared_ptr<const TurnAdapter> LoadAdapter(const AdapterFile& file) const;

  // Runs all turns, in one pass over the weights if they are short enough. A turn's logits do not
  // depend on the other turns. Concurrent calls are allowed if they share no State and no
  // Workspace. Throws Error kBadInput, before anything changes, for an empty turn, an id outside
  // the vocabulary, a state of another shape, logits or sums of the wrong size, and for logits of a
  // model whose purpose is no text. Throws
  // std::bad_alloc if memory runs out, kBadModel if an expert is damaged
  // (OpenOptions::expert_bytes); the states of the turns are then invalid.
  void Forward(std::span<const Turn> turns, Workspace& workspace) const;
  void Forward(const Turn& turn, Workspace& workspace) const {
    Forward(std::span(&turn, 1), workspace);
  }

  class Impl;

 private:
  friend Model ModelOf(std::shared_ptr<const Network> network);
  friend const Checkpoint& CheckpointOf(const Model& model);
  explicit Model(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace linnet

#endif  // LINNET_MODEL_H_
