// Adapter: a file of small changes to a model, in our format or that of other RWKV tuners.
#ifndef LINNET_MODELS_ADAPTER_H_
#define LINNET_MODELS_ADAPTER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "linnet/adapter.h"
#include "models/names.h"

namespace linnet {

inline constexpr char kAdapterKind[] = "linnet adapter";  // metadata "kind"
inline constexpr char kBaseHashKey[] = "base_hash";

// The change of one matrix W [out, in].
struct MatrixChange {
  AdapterKind kind = AdapterKind::kLora;
  float scale = 1;  // of the whole change; includes LoRA's alpha / rank
  size_t rank = 0;
  // LoRA, PiSSA, DoRA: [rank, in], [out, rank]. DiSHA: `up` is D transposed, [out, rank]. Bone:
  // `up` is G, [in / rank, rank, rank].
  TensorView down, up;
  TensorView first_down, first_up;  // PiSSA's A0, B0
  TensorView magnitude;             // DoRA's M, [in] in one row
  // Orientation of `up` in the file, needed for training: DiSHA's is [rank, out].
  bool up_transposed = false;

  // Whether the change is applied next to W, in any format of W; otherwise W must be rewritten.
  bool beside() const { return kind != AdapterKind::kBone && kind != AdapterKind::kDora; }
};

// Immutable. Reads the layouts of RWKV-PEFT, RWKV-LM-LoRA, RWKV-Infer and web-rwkv: X.lora_A with
// X.lora_B, X.disha or X.bone for X.weight, whole tensors that replace the model's, and tuned
// initial states. RWKV-PEFT stores PiSSA's first factors in a separate file, which is looked up as
// `init_pissa.pth` in the same folder.
class Adapter {
 public:
  // Checks every tensor against the model: names, shapes and, if known, the hash of the model that
  // the adapter was trained on. `scale` multiplies the change. It is required for a LoRA file that
  // does not store its alpha, and is then alpha / rank. `base` need not outlive the adapter. Throws
  // Error kIo, kBadModel or kBadInput.
  Adapter(const std::filesystem::path& path, const Checkpoint& base,
          std::optional<float> scale = std::nullopt);

  const TensorFile& file() const { return file_; }
  // PiSSA's first factors, if they are in another file; else null.
  const TensorFile* first_factors() const { return first_ ? &*first_ : nullptr; }
  // The change of the matrix of this name; null if it is unchanged.
  const MatrixChange* Find(const std::string& matrix) const;
  // The tensor that replaces the model's; null if there is none.
  const TensorView* Replacement(const std::string& name) const;
  bool empty() const { return changes_.empty() && replaced_.empty(); }
  // The matrices that it changes, and the whole tensors that it replaces.
  const std::map<std::string, MatrixChange, std::less<>>& changes() const { return changes_; }
  size_t replacements() const { return replaced_.size(); }
  // Whether it contains a tuned initial state, blocks.N.att.time_state.
  bool has_state() const { return states_ > 0; }

  // Whether the tensor is one of this file's, or a view of a whole one.
  bool Holds(const TensorView& tensor) const;

  // Whether a tensor of this name is trained: all except PiSSA's first factors.
  static bool Learns(const std::string& name);

 private:
  void Read(const TensorView& tensor, const Checkpoint& base);
  void AddFirstFactors(const std::filesystem::path& beside);
  void Resolve(const std::string& name, MatrixChange& change, const TensorView& w,
               std::optional<float> scale);
  void ResolveFactors(const std::string& name, MatrixChange& change, const TensorView& w) const;
  void CheckStates(const Checkpoint& base) const;
  float ScaleOf(const MatrixChange& change, std::optional<float> scale) const;

  TensorFile file_;
  std::optional<TensorFile> first_;  // PiSSA's first factors, if in another file
  std::map<std::string, MatrixChange, std::less<>> changes_;
  std::map<std::string, TensorView, std::less<>> replaced_;
  size_t states_ = 0;
};

// Applies a change to rows of W, for changes that must rewrite W and for merging. Keeps the factors
// as f32. Any number of threads may use it at the same time.
class RowChanger {
 public:
  // For DoRA reads all of `w` once, to compute the lengths of its columns.
  RowChanger(const MatrixChange& change, const TensorView& w);

  // On entry `rows` [count, in] are rows [begin, begin + count) of W; on return they are the
  // adapted rows.
  void Apply(size_t begin, size_t count, float* rows) const;

  // DoRA's factor of each column of W with the low-rank product added [in]; else empty.
  std::span<const double> column_factors() const { return columns_; }

 private:
  void AddFactors(size_t row, std::vector<double>& sum) const;
  void ApplyBone(size_t row, float* values) const;

  MatrixChange change_;
  size_t in_;
  std::vector<float> down_, up_, first_down_, first_up_;
  std::vector<double> columns_;  // DoRA's M divided by the length of each column
};

}  // namespace linnet

#endif  // LINNET_MODELS_ADAPTER_H_
