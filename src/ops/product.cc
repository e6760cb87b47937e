#include "ops/product.h"

#include <algorithm>

#include "kernels/ggml_tiles.h"
#include "kernels/panel_product.h"
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

// How a product of many rows is cut: blocks of rows, as many as stay in L2 while panels pass.
class Grid {
 public:
  struct Part {
    size_t begin, rows, panel_begin, panel_end;
  };

  Grid(const Pass& p, const Activations& x, const Weight& w) : all_(x.rows), panels_(w.panels()) {
    // Steps that suit the tiles of all kernels.
    constexpr size_t kNearBytes = 1280 << 10, kGrain = 96, kMost = 4 * kGrain;
    const size_t near = std::clamp(kNearBytes / x.stride / kGrain * kGrain, kGrain, kMost);
    const size_t threads = x.rows * w.rows * w.cols < kSerialMacs ? 1 : p.pool.threads();
    size_t blocks = (x.rows + near - 1) / near;
    if (blocks > threads) blocks = (blocks + threads - 1) / threads * threads;
    rows_ = ((x.rows + blocks - 1) / blocks + 31) / 32 * 32;
    blocks_ = (x.rows + rows_ - 1) / rows_;
    groups_ = std::min(panels_, (2 * threads - 1) / blocks_ + 1);
  }

  size_t tasks() const { return blocks_ * groups_; }
  size_t scratch_bytes() const { return rows_ * kPanelRows * sizeof(float); }
  Part Task(size_t task) const {
    const size_t begin = task / groups_ * rows_, group = task % groups_;
    return {begin, std::min(rows_, all_ - begin), panels_ * group / groups_,
            panels_ * (group + 1) / groups_};
  }

 private:
  size_t all_, panels_, rows_, blocks_, groups_;
};

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
  // Rows an odd number of lines apart fall on all lines of a cache.
  a.stride = ActivationBytes(form, x.cols) | 64;
  auto* prepared = p.arena.New<std::byte>(a.stride * x.rows);
  p.ForRows(x.rows, x.rows * x.cols, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      PrepareActivations(form, x.Rows(row, 1), prepared + row * a.stride);
    }
  });
  a.data = prepared;
  return a;
}

Weight PanelsOf(const Weight& w, size_t begin, size_t end) {
  Weight part = w;
  const size_t first = begin * kPanelRows;
  part.rows = std::min(w.rows, end * kPanelRows) - first;
  if (w.dtype == DType::kGgml) {
    part.data += w.cols / ValuesPerBlock(w.block) * BytesPerBlock(w.block) * first;
  } else {
    part.data += PanelBytes(w.dtype, w.cols) * begin;
  }
  return part;
}

void MultiplyPanels(const Weight& w, const Activations& x, Mat<float> y, float* scratch) {
  if (x.form != Activation::kBF16) return MatMul(w, x, 0, w.panels(), y);
  const size_t panel_bytes = PanelBytes(w.dtype, w.cols);
  for (size_t panel = 0; panel < w.panels(); ++panel) {
    const size_t output = panel * kPanelRows;
    const std::byte* from = w.data + panel * panel_bytes;
    const auto to = y.Columns(output, std::min(kPanelRows, w.rows - output));
    PanelProduct(x, from, w.cols, {to, false, scratch, from + panel_bytes});
  }
}

void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y) {
  // Panels by twos: one row reads two at a time.
  const size_t panels = w.panels(), grain = panels >= 4 * p.pool.threads() ? 2 : 1;
  const size_t grains = (panels + grain - 1) / grain;
  const size_t tasks = std::min(TaskCount(p, w, x.rows), grains);
  p.pool.For(tasks, [&](size_t task) {
    MatMul(w, x, grains * task / tasks * grain,
           std::min(panels, grains * (task + 1) / tasks * grain), y);
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
  const Grid grid(p, x, w);
  const size_t panel_bytes = PanelBytes(w.dtype, w.cols);
  ForTasks(p, grid.tasks(), grid.scratch_bytes(), [&](size_t task, std::byte* scratch) {
    const auto [begin, rows, panel_begin, panel_end] = grid.Task(task);
    const Activations part{x.form, x.data + begin * x.stride, rows, x.stride};
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const std::byte* from = w.data + panel * panel_bytes;
      const size_t output = panel * kPanelRows;
      const auto to = y.Rows(begin, rows).Columns(output, std::min(kPanelRows, w.rows - output));
      PanelProduct(part, from, w.cols,
                   {to, true, reinterpret_cast<float*>(scratch), from + panel_bytes});
    }
  });
}

}  // namespace linnet
