// Adapter: a file of small changes to a model, of ours or of the tuners there are for RWKV.
#ifndef LINNET_MODELS_ADAPTER_H_
#define LINNET_MODELS_ADAPTER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "linnet/adapter.h"
#include "models/names.h"

namespace linnet {

inline constexpr char kAdapterKind[] = "linnet adapter";  // metadata "kind"
inline constexpr char kBaseHashKey[] = "base_hash";

// What an adapter does to one matrix W [out, in].
struct MatrixChange {
  AdapterKind kind = AdapterKind::kLora;
  float scale = 1;  // of all it does; LoRA's alpha / rank included
  size_t rank = 0;
  // LoRA, PiSSA, DoRA: [rank, in], [out, rank]. DiSHA: `up` is D transposed, [out, rank]. Bone:
  // `up` is G, [in / rank, rank, rank].
  TensorView down, up;
  TensorView first_down, first_up;  // PiSSA's A0, B0
  TensorView magnitude;             // DoRA's M, [in] in one row
  // As the file has them, for what learns: `up` of DiSHA is [rank, out] there.
  bool up_transposed = false;

  // Whether it acts beside W, in whatever format that is; else W itself must be rewritten.
  bool beside() const { return kind != AdapterKind::kBone && kind != AdapterKind::kDora; }
};

// Immutable. Reads the layouts of RWKV-PEFT, RWKV-LM-LoRA, RWKV-Infer and web-rwkv: X.lora_A with
// X.lora_B, X.disha, X.bone beside X.weight, whole tensors in the place of the model's, and tuned
// initial states. RWKV-PEFT keeps PiSSA's first factors in a file of their own, which is found as
// `init_pissa.pth` in the same folder.
class Adapter {
 public:
  // Checks every tensor against the model: names, shapes and, where it is known, the hash of the
  // model that the adapter was trained on. `scale` multiplies what it does; of a LoRA file that
  // does not say its alpha it is alpha / rank, and then it must be given. `base` need not outlive
  // the adapter. Throws Error kIo, kBadModel or kBadInput.
  Adapter(const std::filesystem::path& path, const Checkpoint& base,
          std::optional<float> scale = std::nullopt);

  const TensorFile& file() const { return file_; }
  // By the name of the matrix; null if it stays as it is.
  const MatrixChange* Find(const std::string& matrix) const;
  // The tensor to take instead of the model's; null if there is none.
  const TensorView* Replacement(const std::string& name) const;
  bool empty() const { return changes_.empty() && replaced_.empty(); }
  // Whether it holds a tuned initial state, blocks.N.att.time_state.
  bool has_state() const { return states_ > 0; }

  // Whether this is one of its own file's tensors, or a view of one whole.
  bool Holds(const TensorView& tensor) const;

  // One of its tensors that changes with learning: all but what a PiSSA file keeps of its start.
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
  std::optional<TensorFile> first_;  // PiSSA's, if it is another file
  std::map<std::string, MatrixChange, std::less<>> changes_;
  std::map<std::string, TensorView, std::less<>> replaced_;
  size_t states_ = 0;
};

// Applies a change to rows of W, for what cannot act beside it and for merging. Holds the factors
// as f32. Any number of threads may use it at once.
class RowChanger {
 public:
  // `w` is read through once for DoRA, whose columns need their lengths.
  RowChanger(const MatrixChange& change, const TensorView& w);

  // rows [count, in] are rows [begin, begin + count) of W and become what the adapter makes of
  // them.
  void Apply(size_t begin, size_t count, float* rows) const;

 private:
  void AddFactors(size_t row, std::vector<double>& sum) const;
  void ApplyBone(size_t row, float* values) const;

  MatrixChange change_;
  size_t in_;
  std::vector<float> down_, up_, first_down_, first_up_;
  std::vector<double> columns_;  // DoRA's M over the length of each column
};

}  // namespace linnet

#endif  // LINNET_MODELS_ADAPTER_H_
