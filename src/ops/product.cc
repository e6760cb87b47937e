#include "ops/product.h"

#include <algorithm>

#include "kernels/ggml_tiles.h"
#include "kernels/panel_sums.h"
#include "kernels/repack.h"
#include "ops/tasks.h"

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

// Rows of blocks are decoded two by two, as pairs of inputs want them.
void TransposeGgml(const Weight& w, size_t panel, DType dtype, std::byte* out, float* rows) {
  const size_t begin = panel * kPanelRows, end = std::min(w.rows, begin + kPanelRows);
  for (size_t n = begin; n < end; n += 2) {
    const size_t count = std::min<size_t>(2, end - n);
    GgmlRows(w, n, count, rows, w.cols);
    PackRows(dtype, {rows, count, w.cols, w.cols}, PanelBytes(dtype, w.rows),
             out + PanelBytes(dtype, n));
  }
}

}  // namespace

Activations Prepared(const Pass& p, Activation form, Mat<const float> x) {
  Activations a{form, reinterpret_cast<const std::byte*>(x.data), x.rows, x.stride * sizeof(float)};
  if (form == Activation::kF32) return a;
  a.stride = ActivationBytes(form, x.cols);
  auto* prepared = p.arena.New<std::byte>(a.stride * x.rows);
  p.ForRows(x.rows, x.rows * x.cols, [&](size_t begin, size_t end) {
    PrepareActivations(form, x.Rows(begin, end - begin), prepared + begin * a.stride);
  });
  a.data = prepared;
  return a;
}

void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y) {
  const size_t tasks = TaskCount(p, w, x.rows), panels = w.panels();
  p.pool.For(tasks, [&](size_t task) {
    MatMul(w, x, panels * task / tasks, panels * (task + 1) / tasks, y);
  });
}

void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y) {
  const Arena::Mark mark = p.arena.mark();
  Product(p, Prepared(p, ActivationFor(w.dtype, p.exact), x), w, y);
  p.arena.Rewind(mark);
}

Activation BackwardForm(const Pass& p, DType weights) {
  if (weights == DType::kF32 || weights == DType::kF16) return Activation::kF32;
  return ActivationFor(DType::kBF16, p.exact);
}

Weight TransposedPanels(const Pass& p, Activation form, const Weight& w) {
  Weight out{PanelType(form), w.cols, w.rows, nullptr};
  auto* data = p.arena.New<std::byte>(PackedBytes(out.dtype, out.rows, out.cols));
  const bool ggml = w.dtype == DType::kGgml;
  ForTasks(p, w.panels(), ggml ? 2 * w.cols * sizeof(float) : 0,
           [&](size_t panel, std::byte* rows) {
             if (ggml) {
               TransposeGgml(w, panel, out.dtype, data, reinterpret_cast<float*>(rows));
             } else {
               PackTransposed(w, panel, out.dtype, data);
             }
           });
  out.data = data;
  return out;
}

void AddProduct(const Pass& p, const Activations& x, const Weight& w, Mat<float> y) {
  // Rows that stay in L2 while all panels pass: by steps that suit the tiles of all kernels.
  constexpr size_t kNearBytes = 768 << 10, kGrain = 96, kMost = 4 * kGrain;
  const size_t near = std::clamp(kNearBytes / x.stride / kGrain * kGrain, kGrain, kMost);
  const size_t threads = x.rows * w.rows * w.cols < kSerialMacs ? 1 : p.pool.threads();
  size_t blocks = (x.rows + near - 1) / near;
  if (blocks > threads) blocks = (blocks + threads - 1) / threads * threads;
  const size_t rows = ((x.rows + blocks - 1) / blocks + 31) / 32 * 32;
  blocks = (x.rows + rows - 1) / rows;
  const size_t groups = std::min(w.panels(), (2 * threads - 1) / blocks + 1);
  const size_t panel_bytes = PanelBytes(w.dtype, w.cols);
  ForTasks(p, blocks * groups, rows * kPanelRows * sizeof(float), [&](size_t task, std::byte* to) {
    const size_t begin = task / groups * rows, group = task % groups;
    const size_t count = std::min(rows, x.rows - begin);
    const Activations part{x.form, x.data + begin * x.stride, count, x.stride};
    auto* sums = reinterpret_cast<float*>(to);
    const size_t end = w.panels() * (group + 1) / groups;
    for (size_t panel = w.panels() * group / groups; panel < end; ++panel) {
      const std::byte* from = w.data + panel * panel_bytes;
      PanelSums(part, from, w.cols, sums, from + panel_bytes);
      const size_t output = panel * kPanelRows;
      AddSums(sums, y.Rows(begin, count).Columns(output, std::min(kPanelRows, w.rows - output)));
    }
  });
}

}  // namespace linnet
