// Binder: finds a checkpoint's tensors by name, checks their shapes and packs them for the ops.
#ifndef LINNET_MODELS_BINDER_H_
#define LINNET_MODELS_BINDER_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/thread_pool.h"
#include "linnet/config.h"
#include "linnet/model.h"
#include "models/adapter.h"
#include "models/experts.h"
#include "models/names.h"
#include "models/pack_panels.h"
#include "models/packed.h"
#include "models/schema.h"
#include "models/table.h"
#include "ops/pass.h"

namespace linnet {

// A trained parameter: how its checkpoint stores it, and where its gradient accumulates.
struct Parameter {
  std::string name;
  std::vector<size_t> shape;  // BlinkDL's
  Mat<float> g;               // [out, in], or a row
  bool transposed = false;    // the checkpoint has g's transpose
  size_t slice = 0;           // index along the shape's first dimension, of 3-D parameters
  Mat<float> v{};             // if trained: its values, in g's layout
  // For a trained matrix: the panels that products read, repacked when v changes.
  DType dtype = DType::kF32;
  std::byte* panels = nullptr;
};

// Converts values from the layout of a parameter's g to the checkpoint's: one slice, with the
// checkpoint's orientation.
std::vector<float> InCheckpointOrder(const Parameter& parameter, Mat<const float> values);

struct NormParam {
  Var gain, bias;
};

// Owns the memory of a model's parameters. Addresses stay valid when it is moved.
class ParamStore {
 public:
  std::byte* Allocate(size_t bytes) { return buffers_.emplace_back(bytes).data(); }
  float* Floats(size_t count) { return reinterpret_cast<float*>(Allocate(count * sizeof(float))); }

  ModelCost cost;  // of the matrices so far

  std::deque<LowRankDelta> deltas;  // of all matrices

  std::unique_ptr<ExpertStore> experts;  // null if the model has none

  // In the order they were bound; only parameters with gradients.
  std::vector<Parameter> parameters;
  // All their gradients, and all their values, in the same order. Each parameter is padded with
  // zeros to a whole cache line. The first `learning` floats are in use.
  Buffer gradients, values;
  size_t learning = 0;

  // Bound parameters by name, for twins.
  std::map<std::string, Var> vectors;
  std::map<std::string, LinearParam> matrices;
  std::map<std::string, TableParam> tables;

 private:
  std::vector<Buffer> buffers_;
};

struct BindOptions {
  bool gradients = false;  // parameters get a zero gradient and are listed in the store
  // Selects them; all if not set. If there are adapters, only tensors of adapters can be trained.
  std::function<bool(const std::string& name)> learns{};
  // Requires gradients: the values of these parameters become mutable f32, and their matrices are
  // packed from these values as f32 or bf16.
  std::optional<DType> trained{};
  Packing packing{};
  bool shapes_only = false;             // shapes are checked, no matrix is read, nothing can run
  std::span<const Adapter> adapters{};  // applied in this order
  // Bytes of experts that are kept after they were packed (experts.h); 0: a quarter of what is
  // available.
  uint64_t expert_bytes = 0;
  // If not null, nothing is read: the parameters are those of this store, which must outlive the
  // new one. Only gradients are separate.
  const ParamStore* twin = nullptr;
  std::function<void(double)> progress{};  // the fraction done, 0 to 1
};

// Shapes and orientations are those of the schema (schema.h), which must list every name that is
// asked for. All members throw Error kBadModel if the tensor is missing or has another shape; the
// message names the file, the tensor and both shapes.
class Binder {
 public:
  Binder(const Checkpoint& checkpoint, const Config& config, ParamStore& store, ThreadPool& pool,
         const BindOptions& options);

  // As f32; only the number of values must be the schema's.
  Var Vector(const std::string& name);
  NormParam Norm(const std::string& name);  // NAME.weight, NAME.bias

  // A matrix or low-rank factor, in the file's own precision.
  LinearParam Matrix(const std::string& name);
  // Factor `slice` of a stack of them.
  LinearParam Slice(const std::string& name, size_t slice);

  TableParam Rows(const std::string& name);

  // This matrix of all experts of a layer. Without gradients and adapters they are not read.
  ExpertStack Experts(size_t layer, const std::string& name);

  // Layer `layer`'s part of the tuned initial state: one [key][value] matrix per head. Empty unless
  // the file or an adapter contains one.
  std::vector<Var> StartState(size_t layer, size_t heads, size_t head_size);

  // Adds a change that is beside(), or the low-rank part of a DoRA, to the matrix's deltas, whose
  // memory is the store's.
  void AddDelta(const MatrixChange& change, LinearParam& matrix);

  bool Has(const std::string& name) const { return checkpoint_.Has(name); }
  const Config& config() const { return config_; }

  // Call after binding everything: throws for a tensor that was not used, except those known to be
  // unused.
  void RefuseUnknown() const;

 private:
  const ParameterSpec& SpecOf(const std::string& name) const { return specs_.at(name); }
  const TensorView& Find(const std::string& name, size_t elements, const std::string& expected);
  const TensorView& FindShaped(const std::string& name, const std::vector<size_t>& shape);
  LinearParam Factor(const ParameterSpec& spec);
  LinearParam Pack(const TensorView& rows, const TensorView& whole, bool transposed, size_t slice);
  // Packs f32 rows; they are trained if `whole` is.
  LinearParam PackRows(const TensorView& whole, bool transposed, size_t slice, size_t out,
                       size_t in, DType dtype, const RowReader& read);
  // `name` is the quantized matrix, empty to skip the check of its values.
  Weight Packed(const std::string& name, size_t out, size_t in, DType dtype, const RowReader& read,
                float* kept);
  ExpertParam Expert(size_t layer, size_t expert, const std::string& name);
  void Count(const std::string& name, const Weight& w, uint64_t bytes);
  bool Learns(const TensorView& t) const;
  // Returns null if it is not trained.
  Parameter* NewParameter(const TensorView& t, size_t rows, size_t cols, bool transposed,
                          size_t slice);
  void Done(const TensorView& t);
  // A twin's matrix, with the gradient in this store.
  Mat<float> OwnGradient(Mat<float> g) const;
  LinearParam OwnGradients(LinearParam p);

  const Checkpoint& checkpoint_;
  const Config& config_;
  ParamStore& store_;
  ThreadPool& pool_;
  const BindOptions& options_;
  std::map<std::string, ParameterSpec> specs_;
  std::set<std::string, std::less<>> taken_;  // names of the checkpoint's tensors
  size_t done_bytes_ = 0;
};

// The parameters of one layer, by their names within it: "att.key.weight".
class BlockBinder {
 public:
  BlockBinder(Binder& binder, size_t layer) : binder_(binder), layer_(layer) {}

  size_t layer() const { return layer_; }
  bool Has(const std::string& rest) const { return binder_.Has(Named(rest)); }
  Var Vector(const std::string& rest) { return binder_.Vector(Named(rest)); }
  NormParam Norm(const std::string& rest) { return binder_.Norm(Named(rest)); }
  LinearParam Matrix(const std::string& rest) { return binder_.Matrix(Named(rest)); }
  LinearParam Slice(const std::string& rest, size_t i) { return binder_.Slice(Named(rest), i); }
  TableParam Rows(const std::string& rest) { return binder_.Rows(Named(rest)); }
  // `rest` within the expert: "ffn_key.weight".
  ExpertStack Experts(const std::string& rest) { return binder_.Experts(layer_, rest); }

  const Config& config() const { return binder_.config(); }
  // Of no layer.
  LinearParam ModelMatrix(const std::string& name) { return binder_.Matrix(name); }

 private:
  std::string Named(const std::string& rest) const { return BlockName(layer_, rest); }

  Binder& binder_;
  size_t layer_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_BINDER_H_
