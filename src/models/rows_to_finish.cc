#include "models/rows_to_finish.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "tensor/token_memory.h"

namespace linnet {
namespace {

template <class T>
std::span<T> InArena(Pass& p, size_t count) {
  T* data = p.arena.New<T>(count);
  for (size_t i = 0; i < count; ++i) new (data + i) T{};
  return {data, count};
}

// The rows of a segment's own tokens, without those before.
Var OwnRows(Pass& p, Var rows, std::span<const Segment> ranges) {
  size_t count = 0;
  for (const Segment& s : p.segments) count += s.len;
  const Var own = p.New(count, rows.cols());
  for (size_t i = 0; i < ranges.size(); ++i) {
    const Segment& s = p.segments[i];
    const size_t skip = ranges[i].begin + ranges[i].len - s.len;
    for (size_t t = 0; t < s.len; ++t) {
      std::copy_n(rows.v.Row(skip + t), rows.cols(), own.v.Row(s.begin + t));
    }
  }
  return own;
}

}  // namespace

RowsToFinish::RowsToFinish(Pass& p, const std::function<Var(std::span<const int32_t>)>& embed) {
  segments_ = InArena<Segment>(p, p.segments.size());
  ranges_ = InArena<Range>(p, p.segments.size());
  if (!has_past(p)) {
    std::copy(p.segments.begin(), p.segments.end(), segments_.begin());
    tokens_ = p.tokens;
    embedding_ = p.embedding;
    return;
  }
  size_t rows = 0;
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = p.segments[i];
    TokenMemory& finished = s.past->finished;
    const size_t begin = finished.tokens(), end = s.first + s.len;
    ranges_[i].lead = begin > 0 ? 1 : 0;
    ranges_[i].from = begin - ranges_[i].lead;
    segments_[i].begin = rows;
    segments_[i].len = end - ranges_[i].from;
    rows += segments_[i].len;
    if (finished.layout() != nullptr) finished.Append(end - begin);
  }
  const std::span<int32_t> tokens = InArena<int32_t>(p, rows);
  for (size_t i = 0; i < segments_.size(); ++i) {
    for (size_t t = 0; t < segments_[i].len; ++t) {
      tokens[segments_[i].begin + t] = p.segments[i].past->id(ranges_[i].from + t);
    }
  }
  tokens_ = tokens;
  embedding_ = embed(tokens);
}

Var RowsToFinish::Keep(Pass& p, Var rows, size_t slot) const {
  if (!has_past(p)) return rows;
  const Var all = p.New(tokens_.size(), rows.cols());
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = p.segments[i];
    for (size_t t = 0; t < s.len; ++t) {
      StoreRow(rows.v.Row(s.begin + t), s.past->kept, slot, s.first + t);
    }
    for (size_t t = 0; t < segments_[i].len; ++t) {
      std::memcpy(all.v.Row(segments_[i].begin + t), s.past->kept.Row(slot, ranges_[i].from + t),
                  rows.cols() * sizeof(float));
    }
  }
  return all;
}

Pass& RowsToFinish::Over(Pass& p, size_t key_size, size_t value_size) const {
  Pass& over = *new (p.arena.New<Pass>(1)) Pass(p);
  const std::span<Segment> segments = InArena<Segment>(p, segments_.size());
  const size_t floats = key_size + value_size;
  float* zeros = p.Scratch(segments.size() * floats);
  std::fill_n(zeros, segments.size() * floats, 0.0f);
  for (size_t i = 0; i < segments.size(); ++i) {
    segments[i].begin = segments_[i].begin;
    segments[i].len = segments_[i].len;
    segments[i].state = zeros + i * floats;
    segments[i].adapter = p.segments[i].adapter;
  }
  const std::span<LayerStrides> strides = InArena<LayerStrides>(p, 1);
  strides[0].att_shift = key_size;
  strides[0].ffn_shift = value_size;
  over.segments = segments;
  over.strides = {strides};
  over.layer = 0;
  return over;
}

Var RowsToFinish::Attend(Pass& p, Var q, Var k, Var v, const AttentionShape& shape,
                         size_t slot) const {
  if (!has_past(p)) return Attention(p, q, k, v, shape);
  std::vector<PastRows> past;
  std::vector<TokenMemory> computed;  // if they are not kept
  past.reserve(segments_.size());
  computed.reserve(segments_.size());
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = p.segments[i];
    TokenMemory* memory = &s.past->finished;
    const bool kept = memory->layout() != nullptr;
    if (!kept) {
      memory = &computed.emplace_back(std::make_shared<const RowLayout>(
          std::vector<RowSlot>{{"key", k.cols()}, {"value", v.cols()}}));
      memory->Append(s.first + s.len);
    }
    const size_t key_slot = kept ? slot : 0;
    for (size_t t = ranges_[i].lead; t < segments_[i].len - s.len; ++t) {
      const size_t row = segments_[i].begin + t, token = ranges_[i].from + t;
      StoreRow(k.v.Row(row), *memory, key_slot, token);
      StoreRow(v.v.Row(row), *memory, key_slot + 1, token);
    }
    past.push_back({memory, s.first, key_slot, key_slot + 1});
  }
  return Attention(p, q, OwnRows(p, k, segments_), OwnRows(p, v, segments_), shape, past);
}

}  // namespace linnet
