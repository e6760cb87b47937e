#include "kernels/attention.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/check.h"
#include "kernels/convert.h"
#include "kernels/rows.h"
#include "ops/ops.h"
#include "ops/pass.h"
#include "ops/tasks.h"
#include "tensor/mat.h"
#include "tensor/token_memory.h"

namespace linnet {
namespace {

// The queries of one segment, and the keys and values that they see.
struct Attended {
  size_t begin, rows;  // of the pass
  size_t first;        // the position of its first row
  const TokenRows* keys;
  const TokenRows* values;

  size_t tokens() const { return first + rows; }
  size_t spans() const { return SpansOf(tokens()); }
};

struct AttentionOp {
  Var q, k, v, y;
  AttentionShape shape;
  std::span<Attended> segments;
  ScoreSums* sums;  // [rows, heads], of all spans

  size_t key_size() const { return q.cols() / shape.heads; }
  size_t value_size() const { return v.cols() / shape.heads; }

  // Of a span of a segment, of which the last row has seen `tokens`.
  KeySpan Span(const Attended& s, size_t span, size_t tokens) const {
    return {s.keys + span * kSpanBlocks, s.values + span * kSpanBlocks,
            std::min(kSpanTokens, tokens - span * kSpanTokens), key_size(), value_size()};
  }
};

void StoreRows(const Pass& p, const Mat<float>& x, TokenMemory& memory, size_t slot, size_t first) {
  LINNET_CHECK(memory.layout()->slots()[slot].width == x.cols);
  p.ForRows(x.rows, 2 * x.rows * x.cols, [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) StoreRow(x.Row(t), memory, slot, first + t);
  });
}

const TokenRows* BlocksOfMemory(Pass& p, const TokenMemory& memory, size_t slot, size_t tokens) {
  auto* blocks = p.arena.New<TokenRows>(BlocksOf(tokens));
  for (size_t i = 0; i < BlocksOf(tokens); ++i) {
    blocks[i] = {memory.Row(slot, i * kBlockTokens),
                 std::min(kBlockTokens, tokens - i * kBlockTokens),
                 memory.layout()->row_bytes(slot), memory.layout()->slots()[slot].type};
  }
  return blocks;
}

const TokenRows* BlocksOfRows(Pass& p, const Mat<float>& x) {
  auto* blocks = p.arena.New<TokenRows>(BlocksOf(x.rows));
  for (size_t i = 0; i < BlocksOf(x.rows); ++i) {
    blocks[i] = {reinterpret_cast<const std::byte*>(x.Row(i * kBlockTokens)),
                 std::min(kBlockTokens, x.rows - i * kBlockTokens), x.stride * sizeof(float),
                 RowType::kF32};
  }
  return blocks;
}

std::span<Attended> Segments(Pass& p, Var k, Var v, std::span<const PastRows> past) {
  LINNET_CHECK(past.empty() || past.size() == p.segments.size());
  auto* all = p.arena.New<Attended>(p.segments.size());
  for (size_t i = 0; i < p.segments.size(); ++i) {
    const Segment& s = p.segments[i];
    const Mat<float> keys = k.v.Rows(s.begin, s.len), values = v.v.Rows(s.begin, s.len);
    if (past.empty()) {
      all[i] = {s.begin, s.len, 0, BlocksOfRows(p, keys), BlocksOfRows(p, values)};
      continue;
    }
    const PastRows& m = past[i];
    LINNET_CHECK(m.first + s.len <= m.memory->tokens());
    StoreRows(p, keys, *m.memory, m.key_slot, m.first);
    StoreRows(p, values, *m.memory, m.value_slot, m.first);
    all[i] = {s.begin, s.len, m.first, BlocksOfMemory(p, *m.memory, m.key_slot, m.first + s.len),
              BlocksOfMemory(p, *m.memory, m.value_slot, m.first + s.len)};
  }
  return {all, p.segments.size()};
}

// Some queries of a segment, over all spans or over one of them.
struct AttentionTask {
  const Attended* segment;
  size_t row, rows;   // from the segment's first
  size_t head, span;  // kAllHeads: the kernel of one row; kAllSpans
  // Of `row`: [heads] and [heads * value size]; the next row's follow.
  ScoreSums* sums;
  float* weighted;
};
constexpr size_t kAllHeads = SIZE_MAX, kAllSpans = SIZE_MAX;

void RunTask(const AttentionOp& op, const AttentionTask& task, float* scratch) {
  const Attended& s = *task.segment;
  const Mat<float> queries = op.q.v.Rows(s.begin + task.row, task.rows);
  const size_t position = s.first + task.row, tokens = position + task.rows;
  if (task.head == kAllHeads) {
    AttendOne(op.shape, op.Span(s, task.span, tokens), queries.data, task.sums, task.weighted,
              scratch);
    return;
  }
  const size_t heads = op.shape.heads, n = op.key_size(), m = op.value_size();
  const bool all = task.span == kAllSpans;
  const size_t begin = all ? 0 : task.span, end = all ? SpansOf(tokens) : task.span + 1;
  for (size_t span = begin; span < end; ++span) {
    const size_t token = span * kSpanTokens;
    // Queries before the span do not see it. Those that do see all spans before it.
    const size_t skip = position >= token ? 0 : token - position;
    if (skip >= task.rows) return;
    const size_t seen = std::min(position + skip + 1 - token, kSpanTokens);
    AttendGroup(op.shape, op.Span(s, span, tokens), task.head,
                queries.Rows(skip, task.rows - skip).Columns(task.head * n, n), seen,
                all && span > 0, task.sums + skip * heads + task.head,
                {task.weighted + skip * heads * m + task.head * m, task.rows - skip, m, heads * m},
                scratch);
  }
}

// A segment of few rows is split into spans, whose results are in planes [spans][rows][heads] until
// they are merged. The first plane is the result itself.
struct Planes {
  ScoreSums* sums = nullptr;
  float* weighted = nullptr;
};

bool IsSplit(const Attended& s) { return s.rows <= kQueryGroup / 2; }

// How a pass's attention is divided into tasks; the bits do not depend on it.
class TaskPlan {
 public:
  TaskPlan(const Pass& p, const AttentionOp& op) : op_(op), threads_(p.pool.threads()) {
    size_t count = 0;
    for (const Attended& s : op.segments) count += Count(s);
    tasks_ = {p.arena.New<AttentionTask>(count), count};
    planes_ = p.arena.New<Planes>(op.segments.size());
    for (size_t i = 0; i < op.segments.size(); ++i) Add(p, op.segments[i], planes_[i]);
  }

  std::span<const AttentionTask> tasks() const { return tasks_; }
  // Of spans 1, 2, ... of a segment; the plane of span 0 is the result.
  const Planes& planes(size_t segment) const { return planes_[segment]; }

 private:
  size_t GroupRows(const Attended& s) const {
    if (IsSplit(s)) return s.rows;
    const size_t share = s.rows * op_.shape.heads / (2 * threads_);
    return std::clamp(share / 12 * 12, size_t{12}, kQueryGroup);  // whole tiles of 3, 4 and 6 rows
  }
  size_t Count(const Attended& s) const {
    if (s.rows == 1) return s.spans();
    const size_t groups = (s.rows + GroupRows(s) - 1) / GroupRows(s);
    return groups * op_.shape.heads * (IsSplit(s) ? s.spans() : 1);
  }

  void Add(const Pass& p, const Attended& s, Planes& planes) {
    const size_t heads = op_.shape.heads;
    planes = {};
    if (IsSplit(s)) {
      const size_t more = (s.spans() - 1) * s.rows;
      planes.sums = p.arena.New<ScoreSums>(more * heads);
      planes.weighted = p.arena.New<float>(more * op_.v.cols());
      for (size_t span = 0; span < s.spans(); ++span) {
        if (s.rows == 1) {
          Push(s, 0, 1, kAllHeads, span, planes);
        } else {
          for (size_t h = 0; h < heads; ++h) Push(s, 0, s.rows, h, span, planes);
        }
      }
      return;
    }
    // The last rows see the most keys: they begin.
    const size_t group = GroupRows(s);
    for (size_t i = (s.rows + group - 1) / group; i > 0; --i) {
      const size_t row = (i - 1) * group;
      for (size_t h = 0; h < heads; ++h) {
        Push(s, row, std::min(group, s.rows - row), h, kAllSpans, planes);
      }
    }
  }

  void Push(const Attended& s, size_t row, size_t rows, size_t head, size_t span,
            const Planes& planes) {
    const size_t heads = op_.shape.heads;
    AttentionTask& task = tasks_[used_++];
    task = {
        &s, row, rows, head, span, op_.sums + (s.begin + row) * heads, op_.y.v.Row(s.begin + row)};
    if (span == kAllSpans || span == 0) return;
    const size_t at = (span - 1) * s.rows + row;
    task.sums = planes.sums + at * heads;
    task.weighted = planes.weighted + at * op_.v.cols();
  }

  const AttentionOp& op_;
  size_t threads_;
  std::span<AttentionTask> tasks_;
  size_t used_ = 0;
  Planes* planes_ = nullptr;
};

// Merges the spans of one row of a segment and divides by the sum.
void FinishRow(const AttentionOp& op, const Attended& s, const Planes& planes, size_t row) {
  const size_t heads = op.shape.heads, m = op.value_size();
  float* y = op.y.v.Row(s.begin + row);
  ScoreSums* sums = op.sums + (s.begin + row) * heads;
  if (IsSplit(s)) {
    const size_t spans = SpansOf(s.first + row + 1);  // that the row sees
    for (size_t span = 1; span < spans; ++span) {
      const size_t at = (span - 1) * s.rows + row;
      for (size_t h = 0; h < heads; ++h) {
        MergeSpan(planes.sums[at * heads + h], planes.weighted + at * heads * m + h * m, m, sums[h],
                  y + h * m);
      }
    }
  }
  for (size_t h = 0; h < heads; ++h) ScaleRow(y + h * m, 1 / sums[h].sum, m, y + h * m);
}

void AttentionForward(const Pass& p, const AttentionOp& op) {
  const Arena::Scope scope(p.arena);
  const TaskPlan plan(p, op);
  const size_t scratch = AttentionScratch(op.shape.heads, op.key_size(), op.value_size());
  ForTasks(p, plan.tasks().size(), scratch * sizeof(float), [&](size_t i, std::byte* memory) {
    RunTask(op, plan.tasks()[i], reinterpret_cast<float*>(memory));
  });
  for (size_t i = 0; i < op.segments.size(); ++i) {
    const Attended& s = op.segments[i];
    const size_t spans = IsSplit(s) ? s.spans() : 1;
    p.ForRows(s.rows, 2 * s.rows * op.v.cols() * spans, [&](size_t begin, size_t end) {
      for (size_t row = begin; row < end; ++row) FinishRow(op, s, plan.planes(i), row);
    });
  }
}

// Gradients of `rows` queries of a segment from `row` on, or of its keys and values from position
// `row` on, in one head.
struct AttentionBackTask {
  const Attended* segment;
  size_t row, rows, head;
  bool of_keys;
};

void ZeroRows(const Mat<float>& g) {
  for (size_t t = 0; t < g.rows; ++t) std::fill_n(g.Row(t), g.cols, 0.0f);
}

void AttentionBackward(const Pass& p, const AttentionOp& op) {
  const size_t heads = op.shape.heads, n = op.key_size(), m = op.value_size();
  op.y.InitGradient();
  const bool first_q = op.q.TakeFirstWrite(), first_k = op.k.TakeFirstWrite();
  const bool first_v = op.v.TakeFirstWrite();
  const Arena::Scope scope(p.arena);
  float* dots = p.arena.New<float>(op.y.rows() * heads);
  p.ForRows(op.y.rows(), 2 * op.y.rows() * op.y.cols(), [&](size_t begin, size_t end) {
    for (size_t t = begin; t < end; ++t) {
      for (size_t h = 0; h < heads; ++h) {
        dots[t * heads + h] = Dot(op.y.v.Row(t) + h * m, op.y.g.Row(t) + h * m, m);
      }
    }
  });
  std::vector<AttentionBackTask> tasks;
  for (const Attended& s : op.segments) {
    for (size_t h = 0; h < heads; ++h) {
      for (size_t row = 0; op.q.tracked() && row < s.rows; row += kBackQueries) {
        tasks.push_back({&s, row, std::min(kBackQueries, s.rows - row), h, false});
      }
      const bool of_keys = op.k.tracked() || op.v.tracked();
      for (size_t at = s.first; of_keys && at < s.tokens();) {
        const size_t end = std::min((at / kBlockTokens + 1) * kBlockTokens, s.tokens());
        tasks.push_back({&s, at, end - at, h, true});
        at = end;
      }
    }
  }
  const size_t scratch = AttentionBackScratch(n, m) * sizeof(float);
  ForTasks(p, tasks.size(), scratch, [&](size_t i, std::byte* memory) {
    const AttentionBackTask& task = tasks[i];
    const Attended& s = *task.segment;
    const size_t h = task.head;
    const AttentionBack in{.shape = op.shape,
                           .keys = s.keys,
                           .values = s.values,
                           .head = h,
                           .key_size = n,
                           .value_size = m,
                           .first = s.first,
                           .q = op.q.v.Rows(s.begin, s.rows).Columns(h * n, n),
                           .dy = op.y.g.Rows(s.begin, s.rows).Columns(h * m, m),
                           .sums = op.sums + s.begin * heads + h,
                           .dots = dots + s.begin * heads + h};
    const auto gradient = [&](const Var& x, size_t begin, size_t size, bool first_write) {
      if (!x.tracked()) return Mat<float>{};
      const Mat<float> g = x.g.Rows(s.begin + begin, task.rows).Columns(h * size, size);
      if (first_write) ZeroRows(g);
      return g;
    };
    auto* floats = reinterpret_cast<float*>(memory);
    if (task.of_keys) {
      const size_t begin = task.row - s.first;
      AttentionBackKeys(in, task.row, task.rows, gradient(op.k, begin, n, first_k),
                        gradient(op.v, begin, m, first_v), floats);
    } else {
      AttentionBackQueries(in, task.row, task.rows, gradient(op.q, task.row, n, first_q), floats);
    }
  });
}

}  // namespace

void StoreRow(const float* row, TokenMemory& memory, size_t slot, size_t token) {
  const RowSlot& s = memory.layout()->slots()[slot];
  LINNET_CHECK(s.type != RowType::kI32);
  std::byte* to = memory.MutableRow(slot, token);
  if (s.type == RowType::kF16) {
    F32ToF16Row(row, s.width, reinterpret_cast<uint16_t*>(to));
  } else {
    std::memcpy(to, row, s.width * sizeof(float));
  }
}

Var Attention(Pass& p, Var q, Var k, Var v, const AttentionShape& shape,
              std::span<const PastRows> past) {
  AttentionOp op{q, k, v, p.New(q.rows(), v.cols()), shape, {}, nullptr};
  op.segments = Segments(p, k, v, past);
  op.sums = p.arena.New<ScoreSums>(q.rows() * shape.heads);
  AttentionForward(p, op);
  p.OnBackward([&p, op] { AttentionBackward(p, op); });
  return op.y;
}

}  // namespace linnet
