// g += dy^T x: the gradient of a matrix.
#include <algorithm>
#include <vector>

#include "kernels/panel_sums.h"
#include "kernels/repack.h"
#include "kernels/rows.h"
#include "ops/product.h"
#include "ops/sum_tree.h"
#include "ops/tasks.h"

namespace linnet {
namespace {

// Rows whose share of dy, turned, a block of outputs can keep in L2. More rows are summed in
// halves through memory.
constexpr size_t kNearRows = 4096;
constexpr size_t kNearBytes = 768 << 10;
constexpr size_t kGrain = 32, kMostOutputs = 288;

// One sequence of a product: its rows, and the panels of x made of them.
struct Part {
  size_t begin, rows;
  size_t column_bytes;  // of a row of dy^T
  size_t panel_bytes;
  const std::byte* panels;
};

struct Outer {
  const Pass& p;
  const Activations& dy;
  size_t outputs, inputs;  // of g
  std::vector<Part> parts;
  size_t depth;

  size_t panels() const { return (inputs + kPanelRows - 1) / kPanelRows; }
};

Activations RowsOf(const Activations& x, const Part& part) {
  return {x.form, x.data + part.begin * x.stride, part.rows, x.stride};
}

// Outputs [begin, begin + count) for some panels of x.
void Block(const Outer& o, size_t begin, size_t count, size_t panel_begin, size_t panel_end,
           std::byte* scratch, bool add, Mat<float> g) {
  std::vector<Activations> turned;
  for (const Part& part : o.parts) {
    TransposeColumns(RowsOf(o.dy, part), begin, count, scratch, part.column_bytes);
    turned.push_back({o.dy.form, scratch, count, part.column_bytes});
    scratch += count * part.column_bytes;
  }
  const size_t n = count * kPanelRows;
  auto* sums = reinterpret_cast<float*>(scratch);
  for (size_t panel = panel_begin; panel < panel_end; ++panel) {
    const auto leaf = [&](size_t i, float* to) {
      const Part& part = o.parts[i];
      const std::byte* from = part.panels + panel * part.panel_bytes;
      PanelSums(turned[i], from, part.rows, to, from + part.panel_bytes);
    };
    SumInHalves(0, o.parts.size(), n, leaf, sums, sums + n);
    const size_t column = panel * kPanelRows;
    const auto to = g.Rows(begin, count).Columns(column, std::min(kPanelRows, g.cols - column));
    add ? AddSums(sums, to) : StoreSums(sums, to);
  }
}

// Packs the rows of x, sequence by sequence.
void PackParts(const Pass& p, const Activations& x, Outer& o) {
  const size_t panels = o.panels();
  const DType dtype = PanelType(x.form);
  std::vector<std::byte*> to;
  for (Part& part : o.parts) {
    part.panel_bytes = PanelBytes(dtype, part.rows);
    to.push_back(p.arena.New<std::byte>(part.panel_bytes * panels));
    part.panels = to.back();
  }
  p.pool.For(o.parts.size() * panels, [&](size_t task) {
    const Part& part = o.parts[task / panels];
    const size_t panel = task % panels, column = panel * kPanelRows;
    PackColumns(RowsOf(x, part), column, std::min(kPanelRows, o.inputs - column),
                to[task / panels] + panel * part.panel_bytes);
  });
}

// Sequences whose rows are few enough, or one alone.
void NearSum(const Pass& p, std::span<const Sequence> sequences, const Activations& dy,
             const Activations& x, bool add, Mat<float> g) {
  const Arena::Mark mark = p.arena.mark();
  Outer o{p, dy, g.rows, g.cols, {}, SumTreeDepth(sequences.size())};
  size_t output_bytes = 0;  // of one row of dy^T
  for (const Sequence& s : sequences) {
    const size_t line = (s.len * (dy.form == Activation::kBF16 ? 2 : 4) + 63) / 64 * 64;
    const size_t bytes = line % 2048 == 0 ? line + 64 : line;
    o.parts.push_back({s.begin, s.len, bytes, 0, nullptr});
    output_bytes += bytes;
  }
  PackParts(p, x, o);
  const size_t threads = p.pool.threads();
  const size_t most = std::clamp(kNearBytes / output_bytes / kGrain * kGrain, kGrain, kMostOutputs);
  size_t blocks = (g.rows + most - 1) / most;
  if (blocks > 1) blocks = (blocks + threads - 1) / threads * threads;
  const size_t outputs = ((g.rows + blocks - 1) / blocks + kGrain - 1) / kGrain * kGrain;
  blocks = (g.rows + outputs - 1) / outputs;
  const size_t groups = std::min(o.panels(), (threads - 1) / blocks + 1);
  const size_t sums_bytes = (o.depth + 1) * outputs * kPanelRows * sizeof(float);
  ForTasks(p, blocks * groups, outputs * output_bytes + sums_bytes,
           [&](size_t task, std::byte* scratch) {
             const size_t begin = task / groups * outputs, group = task % groups;
             Block(o, begin, std::min(outputs, g.rows - begin), o.panels() * group / groups,
                   o.panels() * (group + 1) / groups, scratch, add, g);
           });
  p.arena.Rewind(mark);
}

void Sum(const Pass& p, std::span<const Sequence> sequences, const Activations& dy,
         const Activations& x, bool add, Mat<float> g) {
  const size_t count = sequences.size();
  const size_t rows = sequences.back().begin + sequences.back().len - sequences.front().begin;
  if (count == 1 || rows <= kNearRows) return NearSum(p, sequences, dy, x, add, g);
  const Arena::Mark mark = p.arena.mark();
  const auto half = [&](size_t begin, size_t end) {
    const Mat<float> sum{p.arena.New<float>(g.rows * g.cols), g.rows, g.cols, g.cols};
    Sum(p, sequences.subspan(begin, end - begin), dy, x, false, sum);
    return sum;
  };
  const Mat<float> a = half(0, count / 2), b = half(count / 2, count);
  p.ForRows(g.rows, g.rows * g.cols, [&](size_t begin, size_t end) {
    for (size_t row = begin; row < end; ++row) {
      AddRow(a.Row(row), b.Row(row), g.cols, add ? a.Row(row) : g.Row(row));
      if (add) AddRow(g.Row(row), a.Row(row), g.cols, g.Row(row));
    }
  });
  p.arena.Rewind(mark);
}

}  // namespace

void AddOuterProduct(const Pass& p, const Activations& dy, const Activations& x, Mat<float> g) {
  const Sequence all{0, x.rows};
  Sum(p, p.sequences.empty() ? std::span(&all, 1) : p.sequences, dy, x, true, g);
}

}  // namespace linnet
