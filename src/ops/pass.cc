#include "ops/pass.h"

namespace linnet {

Var Pass::New(size_t rows, size_t cols) { return NewFor(Activation::kF32, rows, cols); }

Activations Pass::ReadyRows(Activation form, size_t rows, size_t cols) const {
  // With rows an odd number of lines apart, all cache sets are used.
  const size_t stride = ActivationBytes(form, cols) | 64;
  return {form, arena.New<std::byte>(stride * rows), rows, stride};
}

Var Pass::NewFor(Activation form, size_t rows, size_t cols) {
  Var x;
  x.v = {nullptr, rows, cols, cols};
  if (form == Activation::kF32) {
    x.v.data = arena.New<float>(rows * cols);
  } else {
    x.ready = ReadyRows(form, rows, cols);
  }
  if (tape != nullptr) {
    x.g = {arena.New<float>(rows * cols), rows, cols, cols};
    x.uninitialized = arena.New<bool>(1);
    *x.uninitialized = true;
  }
  return x;
}

}  // namespace linnet
