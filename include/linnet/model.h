// Model: RWKV weights that any number of threads may run at once.
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

// What users call the small model inside the library, where they name a model. A file or folder of
// that name is `./builtin`.
inline constexpr std::string_view kBuiltInName = "builtin";

// A file of LoRA, PiSSA, DiSHA or another adapter's tensors, applied while the model runs, or of a
// tuned initial state.
struct AdapterFile {
  std::filesystem::path path;
  // Multiplies what it does. Of a LoRA file that does not say its alpha it is alpha / rank, and
  // must be given.
  std::optional<float> scale{};
};

struct OpenOptions {
  // The group norm's epsilon after WKV, for models trained otherwise than the
  // released ones.
  std::optional<float> ln_x_eps{};
  // Packs the matrices of the first `quant_layers` layers, and the head, in this
  // format instead of the file's own.
  std::optional<DType> quant{};
  size_t quant_layers = SIZE_MAX;
  // Their matrices act beside the model's, which keep their formats. The model's hash stays.
  std::vector<AdapterFile> adapters{};
  // Open it even if it would not fit into the memory there is.
  bool force = false;
  // Called as loading goes on, with the share done, 0 to 1.
  std::function<void(double)> progress{};
};

// One sequence's share of a forward pass. One token decodes, many tokens
// prefill, and turns of both kinds can share a pass.
struct Turn {
  std::span<const int32_t> tokens;  // at least one
  State* state = nullptr;           // advanced past `tokens`; no two turns share one
  std::span<float> logits;          // V values, the last token's, or tokens × V; may be empty
};

struct WorkspaceOptions {
  size_t threads = 0;  // 0: the cores this process may use
  // f32 activations in every product. Otherwise those of bf16 weights may be
  // rounded to bf16. Either way the bits do not depend on batch or threads.
  bool exact = false;
  size_t max_rows = 0;  // tokens a pass; 0: as many as keep activations in cache
};

// Threads and scratch memory for passes, of any model; one pass at a time.
class Workspace {
 public:
  // Throws Error kNoMemory if the system will not start so many threads.
  explicit Workspace(const WorkspaceOptions& options = {});
  ~Workspace();
  Workspace(Workspace&&) noexcept;
  Workspace& operator=(Workspace&&) noexcept;

  size_t threads() const;

 private:
  friend class Model;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// What a pass must read and compute.
struct ModelCost {
  // Of all matrices as they are stored, scales and low-rank factors and head
  // included, the embedding not: what decoding one token reads.
  uint64_t matrix_bytes = 0;
  // Multiplications a token takes in the layers' matrices, and in the head.
  uint64_t layer_macs = 0, head_macs = 0;
};

class Model {
 public:
  // Maps the file (.pth, .safetensors, .st, llama.cpp's .gguf, rwkv.cpp's .bin, a shard index) and
  // tells its generation from its tensors. Matrices are packed in the file's own precision, blocks
  // of GGUF and .bin files run as they are, the embedding stays in the file. A folder stands for
  // the model in it: released files, or a run of `linnet train`, which is its result, or its newest
  // whole checkpoint while it goes on.
  // Throws Error: kIo if it cannot be read, kBadModel if it is not RWKV,
  // kBadInput if an adapter does not fit it, kNoMemory if it would not fit.
  static Model Open(const std::filesystem::path& path, const OpenOptions& options = {});
  // The same of a file's bytes, which must outlive the model; `name` stands in
  // messages and is its path(). A packed file runs where it lies if the bytes
  // begin at a multiple of 64, and is refused elsewhere.
  static Model FromMemory(std::span<const std::byte> bytes, const std::string& name,
                          const OpenOptions& options = {});
  // The small model inside the library, with its vocabulary, if it was there
  // when the library was built. Throws Error kBadModel if it was not.
  static bool HasBuiltIn();
  static Model BuiltIn(const OpenOptions& options = {});
  // What a user names: kBuiltInName for BuiltIn, anything else a path for Open,
  // which itself takes every name for a path.
  static Model Named(const std::string& name, const OpenOptions& options = {});
  ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  const Config& config() const;
  // The file that was opened, of a folder the one in it; a name if it lies in memory.
  const std::filesystem::path& path() const;
  // The text of the vocabulary file that the model's file holds, empty if none:
  // TokenizerOf reads it. Throws Error kBadModel if it is damaged.
  std::string vocabulary() const;
  // Of generation, shapes and a sample of each tensor; the same for every tensor naming.
  const std::string& hash() const;
  StateShape state_shape() const;
  const ModelCost& cost() const;
  // The start of a sequence: State's own, or the tuned one of an adapter.
  State NewState() const;

  // Runs all turns, in one pass over the weights if they are not too long. The
  // logits of a turn do not depend on its company. Calls may overlap if they
  // share no State and no Workspace. Throws Error kBadInput on an empty turn,
  // an id outside the vocabulary, a state of another shape or logits of a wrong
  // size, before anything changes; std::bad_alloc where memory ends, after which
  // the states of its turns hold nothing of use.
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
