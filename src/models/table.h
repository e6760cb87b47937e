// Tables: parameters of which a pass reads one row per token, straight from the file.
#ifndef LINNET_MODELS_TABLE_H_
#define LINNET_MODELS_TABLE_H_

#include <cstdint>
#include <optional>
#include <span>

#include "io/tensor_view.h"
#include "linnet/dtype.h"
#include "ops/pass.h"

namespace linnet {

// The rows, in the file unless they are trained, and their gradient.
struct TableParam {
  TensorView rows;
  Mat<float> g;
  std::optional<DType> rounding{};  // of rows, if a packed file would round them
};

// Row ids[t] of the table for every row t of the pass: [T, columns]. Of a prompt all rows are
// requested from the system before the first is read.
Var GatherRows(Pass& p, const TableParam& table, std::span<const int32_t> ids);

}  // namespace linnet

#endif  // LINNET_MODELS_TABLE_H_
