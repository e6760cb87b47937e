// Binder: a checkpoint's tensors, by name and shape, as the parameters that the ops take.
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
#include "models/names.h"
#include "models/packed.h"
#include "ops/pass.h"

namespace linnet {

// A parameter as its checkpoint has it, and where its gradient gathers.
struct Parameter {
  std::string name;
  std::vector<size_t> shape;  // BlinkDL's
  Mat<float> g;               // [out, in], or a row
  bool transposed = false;    // the checkpoint has g's transpose
  size_t slice = 0;           // index along the shape's first dimension, of 3-D parameters
  Mat<float> v{};             // of one that learns: its values, as g lies
  // Of a matrix that learns: what products read of it, to be packed anew when v changes.
  DType dtype = DType::kF32;
  std::byte* panels = nullptr;
};

// Values that lie as a parameter's g does, as the checkpoint would hold them: one slice, its
// orientation undone.
std::vector<float> InCheckpointOrder(const Parameter& parameter, Mat<const float> values);

struct NormParam {
  Var gain, bias;
};

// A table that is read row by row: where its rows are, in the file unless it is trained, and its
// gradient.
struct TableParam {
  TensorView rows;
  Mat<float> g;
};

// Owns the memory of a model's parameters. Moving it keeps all addresses.
class ParamStore {
 public:
  std::byte* Allocate(size_t bytes) { return buffers_.emplace_back(bytes).data(); }
  float* Floats(size_t count) { return reinterpret_cast<float*>(Allocate(count * sizeof(float))); }

  ModelCost cost;  // of the matrices so far

  std::deque<LowRankDelta> deltas;  // of all matrices

  // In the order they were bound; only those with gradients.
  std::vector<Parameter> parameters;
  // All their gradients, and all their values, in the same order; each starts on a cache line,
  // with zeros up to it. Of as many floats as `learning` says.
  Buffer gradients, values;
  size_t learning = 0;

  // What was bound under which name, for twins.
  std::map<std::string, Var> vectors;
  std::map<std::string, LinearParam> matrices;
  std::map<std::string, TableParam> tables;

 private:
  std::vector<Buffer> buffers_;
};

struct BindOptions {
  bool gradients = false;  // parameters get a gradient of zeros and are listed in the store
  // Which of them; all if not set. Beside adapters, of which none but theirs learn.
  std::function<bool(const std::string& name)> learns{};
  // With gradients: those parameters' values become f32 that may be changed, and their matrices
  // are packed from these as f32 or bf16.
  std::optional<DType> trained{};
  Packing packing{};
  bool shapes_only = false;             // matrices are looked at, not read: nothing can run
  std::span<const Adapter> adapters{};  // applied in this order
  // If not null, nothing is read: parameters are this store's, which must outlive them, but for
  // their gradients.
  const ParamStore* twin = nullptr;
  std::function<void(double)> progress{};  // the share done, 0 to 1
};

// All members throw Error kBadModel if the tensor is missing or of another
// shape, naming the file, the tensor and both shapes.
class Binder {
 public:
  Binder(const Checkpoint& checkpoint, const Config& config, ParamStore& store, ThreadPool& pool,
         const BindOptions& options);

  // n values as f32, whatever dimensions of 1 stand before them.
  Var Vector(const std::string& name, size_t n);
  NormParam Norm(const std::string& name, size_t n);  // NAME.weight, NAME.bias

  // A matrix stored [out, in], in the file's own precision.
  LinearParam Matrix(const std::string& name, size_t out, size_t in);
  // A low-rank factor stored [in, out].
  LinearParam MatrixT(const std::string& name, size_t in, size_t out);
  // Factor `slice` of several stored [slices, in, out].
  LinearParam SliceT(const std::string& name, size_t slice, size_t slices, size_t in, size_t out);

  TableParam Rows(const std::string& name, size_t rows, size_t cols);

  // Layer `layer`'s part of the tuned state that sequences start from: a [key][value] matrix a
  // head. None unless the file or an adapter has one.
  std::vector<Var> StartState(size_t layer, size_t heads, size_t head_size);

  bool Has(const std::string& name) const { return checkpoint_.Has(name); }

  // Once all is bound: throws for a tensor that nothing took, unless files are known to hold it for
  // nothing.
  void RefuseUnknown() const;

 private:
  // Gives `count` rows from `begin` on.
  using RowReader = std::function<void(size_t begin, size_t count, float* rows)>;

  const TensorView& Find(const std::string& name, size_t elements, const std::string& expected);
  const TensorView& FindShaped(const std::string& name, const std::vector<size_t>& shape);
  LinearParam Pack(const TensorView& rows, const TensorView& whole, bool transposed, size_t slice);
  // Packs f32 rows, as learning ones if `whole` learns.
  LinearParam PackRows(const TensorView& whole, bool transposed, size_t slice, size_t out,
                       size_t in, DType dtype, const RowReader& read);
  // `kept`, if not null, gets the rows as f32, and they may change. Throws for values that do not
  // fit into panels which `name`, if not empty, is quantized to.
  Weight PackPanels(const std::string& name, size_t out, size_t in, DType dtype,
                    const RowReader& read, float* kept);
  void Count(const std::string& name, const Weight& w, uint64_t bytes);
  void AddDelta(const MatrixChange& change, LinearParam& matrix);
  bool Learns(const TensorView& t) const;
  // Null if it does not learn.
  Parameter* NewParameter(const TensorView& t, size_t rows, size_t cols, bool transposed,
                          size_t slice);
  void Done(const TensorView& t);
  // A twin's, with the gradient in this store.
  Mat<float> OwnGradient(Mat<float> g) const;
  LinearParam OwnGradients(LinearParam p);

  const Checkpoint& checkpoint_;
  const Config& config_;
  ParamStore& store_;
  ThreadPool& pool_;
  const BindOptions& options_;
  std::set<std::string, std::less<>> taken_;  // names of the checkpoint's tensors
  size_t done_bytes_ = 0;
};

}  // namespace linnet

#endif  // LINNET_MODELS_BINDER_H_
