// StateLog: what the rows of a pass did to a state, so that the first of them can be redone without
// the pass.
#ifndef LINNET_OPS_STATE_LOG_H_
#define LINNET_OPS_STATE_LOG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "base/check.h"
#include "ops/ops.h"
#include "ops/pass.h"

namespace linnet {

// Holds, of each layer, the rows that its recurrences read: seven vectors of C for a token of
// RWKV-7, where a state has 64. Of states without rows per token. Not thread-safe.
class StateLog {
 public:
  // Before the pass whose rows it shall hold. Memory is kept.
  void Clear();

  // Turns the state from before the pass into that after its first `rows` rows, as if the pass had
  // only had these: the same bits. At most as many rows as the log holds.
  void Replay(std::span<float> state, size_t rows) const;

  // Called by the ops that change states: add what the rows of the segments that have a log did.
  static void AddShift(const Pass& p, ShiftOf which, const Mat<float>& rows);
  static void AddWkv4(const Pass& p, const float* log_w, Var k, Var v);
  static void AddWkv6(const Pass& p, const float* u, Var w, Var k, Var v, size_t heads);
  static void AddWkv7(const Pass& p, Var w, Var k, Var v, Var a, Var b, size_t heads);

 private:
  enum class Recurrence : uint8_t { kNone, kWkv4, kWkv6, kWkv7 };
  static constexpr size_t kMostInputs = 5;
  struct Rows {
    std::vector<float> values;
    size_t count = 0, cols = 0;

    // Room for more rows, to be filled.
    Mat<float> Extend(size_t rows, size_t columns);
    Mat<const float> First(size_t rows) const {
      LINNET_CHECK(rows <= count);
      return {values.data(), rows, cols, cols};
    }
  };
  struct Layer {
    std::array<Rows, 3> shifts;            // by ShiftOf
    std::array<Rows, kMostInputs> inputs;  // of the recurrence, in the order of the kernel's
    std::vector<float> shared{};           // v4's log_w, v5's and v6's u
    Recurrence recurrence = Recurrence::kNone;
    size_t heads = 0;
  };

  static void AddWkv(const Pass& p, Recurrence recurrence, size_t heads,
                     std::span<const float> shared, std::initializer_list<Mat<float>> inputs);
  static void Replay(const Layer& layer, size_t rows, std::span<float> wkv);
  Layer& LayerOf(const Pass& p);

  StateStrides strides_;
  std::vector<Layer> layers_;
};

}  // namespace linnet

#endif  // LINNET_OPS_STATE_LOG_H_
