#include "ops/product.h"

#include <algorithm>
#include <cstring>

#include "kernels/ggml_tiles.h"
#include "kernels/matmul.h"

namespace linnet {
namespace {

// Below this a product is done before other threads would have woken up.
constexpr size_t kSerialMacs = 1 << 15;

size_t TaskCount(const Pass& p, const Weight& w, size_t rows) {
  if (rows * w.rows * w.cols < kSerialMacs) return 1;
  // A few tasks a thread even out what else the machine is doing; each is still
  // a long run of memory.
  const size_t wanted = p.pool.threads() * (w.rows * w.cols * rows > (size_t{1} << 20) ? 4 : 1);
  return std::min(w.panels(), wanted);
}

}  // namespace

void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y) {
  const Activation form = ActivationFor(w.dtype, p.exact || p.tape != nullptr);
  Activations a{form, reinterpret_cast<const std::byte*>(x.data), x.rows, x.stride * sizeof(float)};
  const Arena::Mark mark = p.arena.mark();
  if (form != Activation::kF32) {
    a.stride = ActivationBytes(form, x.cols);
    auto* prepared = p.arena.New<std::byte>(a.stride * x.rows);
    p.ForRows(x.rows, x.rows * x.cols, [&](size_t begin, size_t end) {
      PrepareActivations(form, x.Rows(begin, end - begin), prepared + begin * a.stride);
    });
    a.data = prepared;
  }
  const size_t tasks = TaskCount(p, w, x.rows), panels = w.panels();
  p.pool.For(tasks, [&](size_t task) {
    MatMul(w, a, panels * task / tasks, panels * (task + 1) / tasks, y);
  });
  p.arena.Rewind(mark);
}

Weight TransposedPanels(const Pass& p, Mat<const float> m) {
  Weight w{DType::kF32, m.cols, m.rows, nullptr};
  const size_t panel_floats = PanelBytes(DType::kF32, m.rows) / sizeof(float);
  float* out = p.arena.New<float>(panel_floats * w.panels());
  p.pool.For(w.panels(), [&](size_t panel) {
    const size_t begin = panel * kPanelRows, count = std::min(kPanelRows, m.cols - begin);
    float* to = out + panel * panel_floats;
    for (size_t row = 0; row < m.rows; ++row, to += kPanelRows) {
      std::memcpy(to, m.Row(row) + begin, count * sizeof(float));
      std::fill(to + count, to + kPanelRows, 0.0f);
    }
  });
  w.data = reinterpret_cast<const std::byte*>(out);
  return w;
}

Mat<float> Unpacked(const Pass& p, const Weight& w) {
  const Mat<float> out{p.arena.New<float>(w.rows * w.cols), w.rows, w.cols, w.cols};
  if (w.dtype == DType::kGgml) {
    GgmlRows(w, 0, w.rows, out.data, out.stride);
    return out;
  }
  const size_t bytes = PanelBytes(w.dtype, w.cols);
  p.pool.For(w.panels(), [&](size_t panel) {
    const size_t begin = panel * kPanelRows;
    UnpackPanel(w.dtype, w.data + panel * bytes, std::min(kPanelRows, w.rows - begin), w.cols,
                out.Row(begin), out.stride);
  });
  return out;
}

}  // namespace linnet
