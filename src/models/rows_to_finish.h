// Rows per token of a pass: what attention keeps of a sequence's past, and the keys and values that
// follow from it.
#ifndef LINNET_MODELS_ROWS_TO_FINISH_H_
#define LINNET_MODELS_ROWS_TO_FINISH_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "kernels/attention.h"
#include "ops/ops.h"
#include "ops/pass.h"

namespace linnet {

// The tokens whose keys and values a pass computes. Usually its own: after a state was loaded also
// all before them, and with RowStorage::kCompact in every pass. They are finished from the kept
// rows alone, so it makes no difference when. Before the first token of a segment is the one before
// it, if any, since keys and values are shifted by a token. In training they are the rows of the
// pass. Everything is in the pass's arena; immutable once made.
class RowsToFinish {
 public:
  // Appends the tokens to the segments' finished rows. `embed` returns the embedding after ln0.
  RowsToFinish(Pass& p, const std::function<Var(std::span<const int32_t>)>& embed);

  std::span<const int32_t> tokens() const { return tokens_; }
  Var embedding() const { return embedding_; }

  // Keeps the pass's rows in this slot, and returns those of the tokens to finish.
  Var Keep(Pass& p, Var rows, size_t slot) const;

  // A pass over the tokens to finish. ShiftOf::kTimeMix and kChannelMix of rows of at most
  // `key_size` and `value_size` values shift them, from zeros at the start of a sequence.
  Pass& Over(Pass& p, size_t key_size, size_t value_size) const;

  // Attention of the pass's rows, given the finished keys and values of the tokens: keeps them in
  // `slot` and the next one, if they are kept.
  Var Attend(Pass& p, Var q, Var k, Var v, const AttentionShape& shape, size_t slot) const;

 private:
  // Of each segment: the token of its first row, and how many rows come before those to keep.
  struct Range {
    size_t from, lead;
  };

  bool has_past(const Pass& p) const { return p.segments.front().past != nullptr; }

  std::span<Segment> segments_;
  std::span<Range> ranges_;
  std::span<const int32_t> tokens_;
  Var embedding_;
};

}  // namespace linnet

#endif  // LINNET_MODELS_ROWS_TO_FINISH_H_
