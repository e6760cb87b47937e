#include "ops/pass.h"

namespace linnet {

Var Pass::New(size_t rows, size_t cols) {
  Var x;
  x.v = {arena.New<float>(rows * cols), rows, cols, cols};
  if (tape != nullptr) {
    x.g = {arena.New<float>(rows * cols), rows, cols, cols};
    x.blank = arena.New<bool>(1);
    *x.blank = true;
  }
  return x;
}

}  // namespace linnet
