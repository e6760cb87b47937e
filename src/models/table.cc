#include "models/table.h"

#include <sys/mman.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/whole_pages.h"
#include "kernels/rows.h"
#include "models/packed.h"
#include "ops/sum_tree.h"

namespace linnet {
namespace {

// table[id] += the gradients of the rows with that id. Sums in order within a sequence, then
// pairwise over halves of the sequences.
void AddRowGradients(const Pass& p, Mat<float> dx, std::span<const int32_t> ids, Mat<float> table) {
  std::vector<size_t> order(ids.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return ids[a] < ids[b]; });
  std::vector<size_t> sequence_of(ids.size(), 0);
  for (size_t s = 0; s < p.sequences.size(); ++s) {
    std::fill_n(sequence_of.begin() + p.sequences[s].begin, p.sequences[s].len, s);
  }
  const size_t n = table.cols, sequences = std::max<size_t>(p.sequences.size(), 1);
  std::vector<float> sums(sequences * n), scratch((SumTreeDepth(sequences) + 1) * n);
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    const int32_t id = ids[order[begin]];
    std::fill(sums.begin(), sums.end(), 0.0f);
    for (end = begin; end < order.size() && ids[order[end]] == id; ++end) {
      AddScaledRow(dx.Row(order[end]), 1.0f, n, sums.data() + sequence_of[order[end]] * n);
    }
    const auto leaf = [&](size_t s, float* out) { std::copy_n(sums.data() + s * n, n, out); };
    SumInHalves(0, sequences, n, leaf, scratch.data(), scratch.data() + n);
    AddScaledRow(scratch.data(), 1.0f, n, table.Row(static_cast<size_t>(id)));
  }
}

// The bytes of a row, widened to whole pages: AdviseWholePages skips pages that are cut.
void RequestRow(const TensorView& rows, size_t row) {
  constexpr size_t kPage = 4096;
  std::span<const std::byte> bytes;
  if (rows.encoding != nullptr) {
    const auto all = rows.encoding->bytes();
    const size_t length = all.size() / std::max<size_t>(1, rows.rows());
    bytes = all.subspan(row * length, length);
  } else {
    const size_t length = rows.cols() * ElementBytes(rows.type);
    bytes = {rows.data + row * rows.strides[0] * ElementBytes(rows.type), length};
  }
  const auto begin = reinterpret_cast<uintptr_t>(bytes.data()) / kPage * kPage;
  const auto end = reinterpret_cast<uintptr_t>(bytes.data() + bytes.size());
  AdviseWholePages(
      {reinterpret_cast<const std::byte*>(begin), (end - begin + kPage - 1) / kPage * kPage},
      MADV_WILLNEED);
}

}  // namespace

Var GatherRows(Pass& p, const TableParam& table, std::span<const int32_t> ids) {
  const size_t n = table.rows.cols();
  Var x = p.New(ids.size(), n);
  if (table.g.empty()) x.g = {};
  if (ids.size() > 1 && table.g.empty()) {  // trained tables are in memory
    for (const int32_t id : ids) RequestRow(table.rows, static_cast<size_t>(id));
  }
  for (size_t t = 0; t < ids.size(); ++t) {
    ReadRows(table.rows, static_cast<size_t>(ids[t]), 1, x.v.Row(t));
    if (table.rounding) RoundTableRow(*table.rounding, n, x.v.Row(t));
  }
  if (x.tracked()) {
    p.OnBackward([&p, x, rows = std::vector<int32_t>(ids.begin(), ids.end()), g = table.g] {
      x.InitGradient();
      AddRowGradients(p, x.g, rows, g);
    });
  }
  return x;
}

}  // namespace linnet
