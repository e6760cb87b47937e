#include "ops/product.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "kernels/convert.h"
#include "kernels/ggml_tiles.h"
#include "kernels/isa.h"
#include "kernels/panel_product.h"
#include "kernels/repack.h"
#include "ops/product_plans.h"
#include "ops/tasks.h"

namespace linnet {
namespace {

// Below this a product is done before other threads have woken up.
constexpr size_t kSerialMacs = 1 << 15;

// Some rows and some panels of a product of many rows.
struct ProductTask {
  size_t row, rows, panel, panel_end;
};

// Long runs of panels first, then short ones, so that threads finish at the same time; if there are
// too few panels for that, rows are split, too.
std::vector<ProductTask> TasksOf(const Pass& p, size_t rows, const Weight& w) {
  constexpr size_t kEach = 16, kFewest = 96, kGrain = 16;  // tasks a thread; rows of a task
  const size_t panels = w.panels(), threads = p.pool.threads();
  if (threads == 1 || rows * w.rows * w.cols < kSerialMacs) return {{0, rows, 0, panels}};
  size_t blocks = std::clamp<size_t>(kEach * threads / panels, 1, rows / kFewest + 1);
  if (blocks > 1) blocks = (blocks + threads - 1) / threads * threads;
  const auto row = [&](size_t block) {
    return block == blocks ? rows : rows * block / blocks / kGrain * kGrain;
  };
  std::vector<ProductTask> tasks;
  for (size_t panel = 0; panel < panels;) {
    const size_t end = panel + std::max<size_t>(1, (panels - panel) / (2 * threads));
    for (size_t i = 0; i < blocks; ++i) {
      if (row(i) < row(i + 1)) tasks.push_back({row(i), row(i + 1) - row(i), panel, end});
    }
    panel = end;
  }
  return tasks;
}

// y = x W^T, then the epilogue.
void ProductInTasks(const Pass& p, const Activations& x, const Weight& w, Mat<float> y,
                    const Epilogue* epilogue) {
  const std::vector<ProductTask> tasks = TasksOf(p, x.rows, w);
  p.pool.For(tasks.size(), [&](size_t task) {
    const auto [row, rows, panel, panel_end] = tasks[task];
    const Activations some{x.form, x.data + row * x.stride, rows, x.stride};
    const Mat<float> to = y.Rows(row, rows);
    MatMul(w, some, panel, panel_end, to);
    if (epilogue == nullptr) return;
    const size_t column = panel * kPanelRows;
    (*epilogue)(to.Columns(column, std::min(panel_end * kPanelRows, w.rows) - column), row, column);
  });
}

// Panels [begin, end) of a product, then the epilogue.
void RunPanels(const OneProduct& product, size_t begin, size_t end) {
  const auto& [x, w, y, epilogue] = product;
  MatMul(w, x, begin, end, y);
  if (epilogue == nullptr) return;
  const size_t column = begin * kPanelRows;
  epilogue(y.Columns(column, std::min(end * kPanelRows, w.rows) - column), 0, column);
}

// Blocking of a product of many rows: blocks of rows that stay in L2 while panels are read.
class Grid {
 public:
  struct Block {
    size_t begin, rows, panel_begin, panel_end;
  };

  Grid(const Pass& p, const Activations& x, const Weight& w) : all_(x.rows), panels_(w.panels()) {
    // Steps that suit the tiles of all kernels.
    constexpr size_t kNearBytes = 1280 << 10, kGrain = 96, kMost = 4 * kGrain;
    const size_t near = std::clamp(kNearBytes / x.stride / kGrain * kGrain, kGrain, kMost);
    const size_t threads = x.rows * w.rows * w.cols < kSerialMacs ? 1 : p.pool.threads();
    size_t blocks = (x.rows + near - 1) / near;
    if (blocks > threads) blocks = (blocks + threads - 1) / threads * threads;
    // Whole tiles: with more rounding the last block is so short that threads wait for one another.
    const size_t tile = x.form == Activation::kF32 ? 6 : 32;
    rows_ = ((x.rows + blocks - 1) / blocks + tile - 1) / tile * tile;
    blocks_ = (x.rows + rows_ - 1) / rows_;
    groups_ = std::min(panels_, (2 * threads - 1) / blocks_ + 1);
  }

  size_t tasks() const { return blocks_ * groups_; }
  size_t scratch_bytes() const { return rows_ * kPanelRows * sizeof(float); }
  Block Task(size_t task) const {
    const size_t begin = task / groups_ * rows_, group = task % groups_;
    return {begin, std::min(rows_, all_ - begin), panels_ * group / groups_,
            panels_ * (group + 1) / groups_};
  }

 private:
  size_t all_, panels_, rows_, blocks_, groups_;
};

// y = or += x W^T, block by block of rows. If y has no memory, a block is only in `near`.
void BlockedProduct(const Pass& p, const Activations& x, const Weight& w, bool add, Mat<float> y,
                    const Epilogue* epilogue) {
  const Grid grid(p, x, w);
  const size_t panel_bytes = PanelBytes(w.dtype, w.cols);
  ForTasks(p, grid.tasks(), 2 * grid.scratch_bytes(), [&](size_t task, std::byte* scratch) {
    const auto [begin, rows, panel_begin, panel_end] = grid.Task(task);
    const Activations part{x.form, x.data + begin * x.stride, rows, x.stride};
    auto* sums = reinterpret_cast<float*>(scratch);
    auto* near = reinterpret_cast<float*>(scratch + grid.scratch_bytes());
    for (size_t panel = panel_begin; panel < panel_end; ++panel) {
      const std::byte* from = w.data + panel * panel_bytes;
      const size_t output = panel * kPanelRows, count = std::min(kPanelRows, w.rows - output);
      const auto to = y.data == nullptr ? Mat<float>{near, rows, count, kPanelRows}
                                        : y.Rows(begin, rows).Columns(output, count);
      PanelProduct(part, from, w.cols, {to, add, sums, from + panel_bytes});
      if (epilogue != nullptr) (*epilogue)(to, begin, output);
    }
  });
}

// Whether there are so many rows that a block of them should stay in cache while panels are read,
// and not the reverse, in which each core reads all rows for every few panels. Of longer rows too
// few fit L2 for the tile unit; vector kernels do not need it.
bool IsBlocked(const Activations& x, const Weight& w) {
  constexpr size_t kManyRows = 96, kLongRow = 6 << 10;
  if (x.rows < kManyRows) return false;
  if (x.form == Activation::kF32) return w.dtype == DType::kF32;
  return x.form == Activation::kBF16 && CurrentIsa() == Isa::kAmx && x.stride <= kLongRow + 64;
}

// Rows of blocks are decoded in twos, for pairs of inputs.
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
  a = p.ReadyRows(form, x.rows, x.cols);
  auto* to = const_cast<std::byte*>(a.data);
  p.ForRows(x.rows, x.rows * x.cols, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      PrepareActivations(form, x.Rows(row, 1), to + row * a.stride);
    }
  });
  return a;
}

Activations RowsFor(const Pass& p, Activation form, const Var& x) {
  if (x.ready.data == nullptr) return Prepared(p, form, x.v);
  LINNET_CHECK(x.ready.form == form);
  return x.ready;
}

Activation FormFor(const Pass& p, std::span<const LinearParam* const> readers) {
  const Activation form = ActivationFor(readers.front()->w.dtype, p.exact);
  for (const LinearParam* w : readers) {
    const bool backward = p.tape != nullptr && !w->g.empty();
    const bool agrees = ActivationFor(w->w.dtype, p.exact) == form && !p.Changes(*w) &&
                        (!backward || BackwardForm(p, w->w.dtype) == form);
    if (!agrees) return Activation::kF32;
  }
  return form;
}

void PutReady(const Var& y, size_t t, const float* values) {
  PrepareActivations(y.ready.form, {values, 1, y.cols(), y.cols()},
                     const_cast<std::byte*>(y.ready.data) + t * y.ready.stride);
}

void PutBF16(const Activations& rows, size_t t, size_t column, const float* values, size_t count) {
  auto* row = const_cast<std::byte*>(rows.data) + t * rows.stride;
  F32ToBF16Row(values, count, reinterpret_cast<uint16_t*>(row) + column);
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

void Products(const Pass& p, std::span<OneProduct> products) {
  const Arena::Scope scope(p.arena);
  size_t macs = 0;
  for (OneProduct& product : products) {
    Mat<float>& y = product.y;
    if (y.data == nullptr) y.data = p.arena.New<float>(y.rows * y.cols);
    macs += product.x.rows * product.w.rows * product.w.cols;
  }
  if (macs < kSerialMacs) {
    for (const OneProduct& product : products) RunPanels(product, 0, product.w.panels());
  } else {
    std::optional<ProductPlan> once;  // without stored plans, the next product is unknown
    const ProductPlan& plan = p.plans != nullptr ? p.plans->Next(products, p.pool)
                                                 : once.emplace(products, p.pool.threads());
    p.pool.For(plan.tasks(), [&](size_t task) {
      plan.EachRange(
          task, [&](size_t i, size_t begin, size_t end) { RunPanels(products[i], begin, end); });
    });
  }
}

void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y) {
  if (IsBlocked(x, w)) return BlockedProduct(p, x, w, false, y, nullptr);
  if (x.rows <= kFewRows) {
    OneProduct one{x, w, y, nullptr};
    return Products(p, {&one, 1});
  }
  ProductInTasks(p, x, w, y, nullptr);
}

void Product(const Pass& p, const Activations& x, const Weight& w, Mat<float> y,
             const Epilogue& epilogue) {
  if (IsBlocked(x, w)) return BlockedProduct(p, x, w, false, y, &epilogue);
  const Arena::Scope scope(p.arena);
  if (x.rows <= kFewRows) {
    OneProduct one{x, w, y, epilogue};
    return Products(p, {&one, 1});
  }
  if (y.data == nullptr) y.data = p.arena.New<float>(y.rows * y.cols);
  ProductInTasks(p, x, w, y, &epilogue);
}

void Product(const Pass& p, Mat<const float> x, const Weight& w, Mat<float> y) {
  const Arena::Scope scope(p.arena);
  Product(p, Prepared(p, ActivationFor(w.dtype, p.exact), x), w, y);
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
  BlockedProduct(p, x, w, true, y, nullptr);
}

}  // namespace linnet
