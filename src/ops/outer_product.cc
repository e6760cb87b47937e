#include <algorithm>

#include "kernels/panel_product.h"
#include "kernels/repack.h"
#include "kernels/rows.h"
#include "ops/product.h"
#include "ops/sum_tree.h"
#include "ops/tasks.h"

namespace linnet {
namespace {

// Rows whose columns of dy^T for a block of outputs fit L2. More rows are summed in halves through
// memory.
constexpr size_t kNearRows = 4096;
constexpr size_t kNearGradient = 1024 << 10;
constexpr size_t kOutputGrain = 32, kMostOutputs = 288;

Activations RowsOf(const Activations& x, size_t begin, size_t rows) {
  return {x.form, x.data + begin * x.stride, rows, x.stride};
}

}  // namespace

OuterProduct::OuterProduct(const Pass& p, const Activations& x, size_t inputs)
    : p_(p), inputs_(inputs) {
  const TrainingSequence all{0, x.rows};
  const DType dtype = PanelType(x.form);
  std::vector<std::byte*> to;
  for (const TrainingSequence& s : p.sequences.empty() ? std::span(&all, 1) : p.sequences) {
    const size_t line = (s.len * (x.form == Activation::kBF16 ? 2 : 4) + 63) / 64 * 64;
    const size_t bytes = PanelBytes(dtype, s.len);
    to.push_back(p.arena.New<std::byte>(bytes * panels()));
    // With rows of dy^T an odd number of lines apart, all cache sets are used.
    leaves_.push_back({s.begin, s.len, line | 64, bytes, to.back()});
  }
  p.pool.For(leaves_.size() * panels(), [&](size_t task) {
    const Leaf& leaf = leaves_[task / panels()];
    if (leaf.rows == 0) return;
    const size_t panel = task % panels(), column = panel * kPanelRows;
    PackColumns(RowsOf(x, leaf.begin, leaf.rows), column, std::min(kPanelRows, inputs_ - column),
                to[task / panels()] + panel * leaf.panel_bytes);
  });
}

size_t OuterProduct::panels() const { return (inputs_ + kPanelRows - 1) / kPanelRows; }

void OuterProduct::AddTo(const Activations& dy, Mat<float> g) const { Sum(leaves_, dy, true, g); }

void OuterProduct::Sum(Leaves leaves, const Activations& dy, bool add, Mat<float> g) const {
  const size_t count = leaves.size();
  const size_t rows = leaves.back().begin + leaves.back().rows - leaves.front().begin;
  if (count == 1 || rows <= kNearRows) return NearSum(leaves, dy, add, g);
  const Arena::Scope scope(p_.arena);
  const auto half = [&](size_t begin, size_t end) {
    const Mat<float> sum{p_.arena.New<float>(g.rows * g.cols), g.rows, g.cols, g.cols};
    Sum(leaves.subspan(begin, end - begin), dy, false, sum);
    return sum;
  };
  const Mat<float> a = half(0, count / 2), b = half(count / 2, count);
  p_.ForRows(g.rows, g.rows * g.cols, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      AddRow(a.Row(row), b.Row(row), g.cols, add ? a.Row(row) : g.Row(row));
      if (add) AddRow(g.Row(row), a.Row(row), g.cols, g.Row(row));
    }
  });
}

void OuterProduct::NearSum(Leaves leaves, const Activations& dy, bool add, Mat<float> g) const {
  size_t output_bytes = 0;  // of one row of dy^T
  for (const Leaf& leaf : leaves) output_bytes += leaf.column_bytes;
  const size_t threads = p_.pool.threads();
  const size_t most = std::clamp(kNearGradient / output_bytes / kOutputGrain * kOutputGrain,
                                 kOutputGrain, kMostOutputs);
  size_t blocks = (g.rows + most - 1) / most;
  if (blocks > 1) blocks = (blocks + threads - 1) / threads * threads;
  const size_t outputs =
      ((g.rows + blocks - 1) / blocks + kOutputGrain - 1) / kOutputGrain * kOutputGrain;
  blocks = (g.rows + outputs - 1) / outputs;
  const size_t groups = std::min(panels(), (threads - 1) / blocks + 1);
  const size_t sums = (SumTreeDepth(leaves.size()) + 2) * outputs * kPanelRows * sizeof(float);
  ForTasks(p_, blocks * groups, outputs * output_bytes + sums,
           [&](size_t task, std::byte* scratch) {
             const size_t begin = task / groups * outputs, group = task % groups;
             const size_t end = std::min(begin + outputs, g.rows);
             Block(leaves, dy, begin, panels() * group / groups, panels() * (group + 1) / groups,
                   scratch, add, g.Rows(begin, end - begin));
           });
}

// Some panels of x by the outputs of g; the first of them is column `begin` of dy.
void OuterProduct::Block(Leaves leaves, const Activations& dy, size_t begin, size_t panel_begin,
                         size_t panel_end, std::byte* scratch, bool add, Mat<float> g) const {
  const size_t n = g.rows * kPanelRows;
  auto* waiting = reinterpret_cast<float*>(scratch);
  float* sums = waiting + n;
  std::byte* to = scratch + (SumTreeDepth(leaves.size()) + 2) * n * sizeof(float);
  std::vector<Activations> turned;
  for (const Leaf& leaf : leaves) {
    if (leaf.rows != 0) {
      TransposeColumns(RowsOf(dy, leaf.begin, leaf.rows), begin, g.rows, to, leaf.column_bytes);
    }
    turned.push_back({dy.form, to, g.rows, leaf.column_bytes});
    to += g.rows * leaf.column_bytes;
  }
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    const size_t column = panel * kPanelRows;
    const auto out = g.Columns(column, std::min(kPanelRows, g.cols - column));
    const auto product = [&](size_t i, Mat<float> y, bool add_to_y) {
      const Leaf& leaf = leaves[i];
      if (leaf.rows == 0) {  // a sequence without rows of these parameters
        for (size_t row = 0; row < y.rows && !add_to_y; ++row)
          std::fill_n(y.Row(row), y.cols, 0.0f);
        return;
      }
      const std::byte* from = leaf.panels + panel * leaf.panel_bytes;
      PanelProduct(turned[i], from, leaf.rows, {y, add_to_y, waiting, from + leaf.panel_bytes});
    };
    const auto sum = [&](auto& self, size_t first, size_t last, float* y) -> void {
      const Mat<float> all{y, g.rows, kPanelRows, kPanelRows};
      if (last - first == 1) return product(first, all, false);
      const size_t middle = (first + last) / 2;
      self(self, first, middle, y);
      if (last - middle == 1) return product(middle, all, true);
      self(self, middle, last, y + n);
      AddSums(y, y + n, false, all);
    };
    const size_t count = leaves.size(), middle = count / 2;
    if (count == 1) {
      product(0, out, add);
    } else if (count == 2) {
      sum(sum, 0, 2, sums);
      AddSums(sums, nullptr, add, out);
    } else {
      sum(sum, 0, middle, sums);
      sum(sum, middle, count, sums + n);
      AddSums(sums, sums + n, add, out);
    }
  }
}

}  // namespace linnet
