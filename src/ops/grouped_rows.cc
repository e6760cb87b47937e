#include <algorithm>
#include <memory>
#include <vector>

#include "kernels/rows.h"
#include "ops/ops.h"

namespace linnet {
namespace {

// The rows of each sequence among `rows`, which are ascending: a sequence without any is empty.
std::vector<TrainingSequence> SequencesAmong(std::span<const size_t> rows,
                                             std::span<const TrainingSequence> all) {
  std::vector<TrainingSequence> some(all.begin(), all.end());
  for (TrainingSequence& s : some) {
    const auto begin = std::ranges::lower_bound(rows, s.begin);
    const auto end = std::ranges::lower_bound(rows, s.begin + s.len);
    s.begin = static_cast<size_t>(begin - rows.begin());
    s.len = static_cast<size_t>(end - begin);
  }
  return some;
}

// The segments that have any of the rows, with those alone.
std::vector<Segment> SegmentsAmong(std::span<const size_t> rows, std::span<const Segment> all) {
  std::vector<Segment> some;
  for (Segment s : all) {
    const auto begin = std::ranges::lower_bound(rows, s.begin);
    const auto end = std::ranges::lower_bound(rows, s.begin + s.len);
    s.begin = static_cast<size_t>(begin - rows.begin());
    s.len = static_cast<size_t>(end - begin);
    if (s.len > 0) some.push_back(s);
  }
  return some;
}

}  // namespace

RowsScope::RowsScope(Pass& p, std::span<const size_t> rows) : p_(p), all_segments_(p.segments) {
  if (!p.adapters.empty()) {
    segments_ = SegmentsAmong(rows, p.segments);
    p.segments = segments_;
  }
  if (p.tape == nullptr || p.sequences.empty()) return;
  some_ = std::make_shared<const std::vector<TrainingSequence>>(SequencesAmong(rows, p.sequences));
  // Backward steps run in reverse: this one after those of the scope, the destructor's before.
  p.OnBackward([&p, all = p.sequences] { p.sequences = all; });
}

RowsScope::~RowsScope() {
  p_.segments = all_segments_;
  if (some_ != nullptr) p_.OnBackward([&p = p_, some = some_] { p.sequences = *some; });
}

Var TakeRows(Pass& p, Var x, std::span<const size_t> rows) {
  const size_t n = x.cols();
  const Var y = p.New(rows.size(), n);
  for (size_t i = 0; i < rows.size(); ++i) std::copy_n(x.v.Row(rows[i]), n, y.v.Row(i));
  p.OnBackward([x, y, taken = std::vector<size_t>(rows.begin(), rows.end())] {
    if (!x.tracked()) return;
    x.InitGradient();
    y.InitGradient();
    for (size_t i = 0; i < taken.size(); ++i) {
      AddRow(x.g.Row(taken[i]), y.g.Row(i), x.cols(), x.g.Row(taken[i]));
    }
  });
  return y;
}

Var AddToRowsInPlace(Pass& p, Var x, Var y, std::span<const size_t> rows) {
  for (size_t i = 0; i < rows.size(); ++i) {
    AddRow(x.v.Row(rows[i]), y.v.Row(i), x.cols(), x.v.Row(rows[i]));
  }
  p.OnBackward([x, y, taken = std::vector<size_t>(rows.begin(), rows.end())] {
    if (!y.tracked()) return;
    x.InitGradient();
    y.InitGradient();
    for (size_t i = 0; i < taken.size(); ++i) {
      AddRow(y.g.Row(i), x.g.Row(taken[i]), x.cols(), y.g.Row(i));
    }
  });
  return x;
}

}  // namespace linnet
