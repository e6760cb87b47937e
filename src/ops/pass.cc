#include "ops/pass.h"

#include <algorithm>

namespace linnet {

Var Pass::New(size_t rows, size_t cols) {
  Var x;
  x.v = {arena.New<float>(rows * cols), rows, cols, cols};
  if (tape != nullptr) {
    x.g = {arena.New<float>(rows * cols), rows, cols, cols};
    std::fill_n(x.g.data, rows * cols, 0.0f);
  }
  return x;
}

}  // namespace linnet
