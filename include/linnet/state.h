// State: everything a sequence remembers, a few megabytes, and with attention some rows per token.
// Can be created, cloned, saved and loaded.
#ifndef LINNET_STATE_H_
#define LINNET_STATE_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "linnet/config.h"

namespace linnet {

// How a model with attention keeps the keys and values of past tokens: as rows ready to be read, in
// 16 or 32 bits, or only what they are computed from, in every pass again. A state keeps the latter
// in any case, and files contain nothing else.
enum class RowStorage : uint8_t { kF16, kF32, kCompact };

// What a state and a model must have in common for the model to continue from the state, and how
// the state keeps rows per token.
struct StateShape {
  Generation generation = Generation::k7;
  size_t layers = 0, width = 0, heads = 0, head_size = 0;
  std::string model_hash;  // 16 hex digits; empty for states of other programs
  // Model::Identity of what computed a state, if its owner wrote it there; else empty. In the shape
  // given to State::Load: the identity that a saved state must have; empty: any.
  std::string identity{};
  size_t attention_from = 0, cache = 0;  // GoldFinch: as in Config
  // Of models with attention, else unused.
  RowStorage rows = RowStorage::kF16;
  size_t row_limit = SIZE_MAX;  // bytes that the rows of one state may take

  // The floats of all layers: State::values.
  size_t floats() const;
  // Bytes that a state takes more for each token; 0 without attention.
  size_t token_bytes() const;
};

// One tensor of the reference implementation's state list: floats, or token ids.
struct StateTensor {
  std::vector<size_t> shape;
  std::vector<float> values;
  bool is_ids = false;
  std::vector<int32_t> ids{};
  // Its number in the list, which may have gaps; 0 in a list given to State: the next one.
  size_t number = 0;
};

struct PastTokens;  // tensor/token_memory.h

// Memory aligned to cache lines: a vector that crosses two lines costs one more access.
template <class T>
struct LineAllocator {
  using value_type = T;
  static constexpr std::align_val_t kLine{64};

  LineAllocator() = default;
  template <class U>
  LineAllocator(const LineAllocator<U>&) {}
  T* allocate(size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), kLine)); }
  void deallocate(T* p, size_t) noexcept { ::operator delete(p, kLine); }
  bool operator==(const LineAllocator&) const { return true; }
};

// Owns its memory. Movable; copies are made explicitly. Not thread-safe.
class State {
 public:
  // The start of a sequence: zeros, and v4's exponents at -1e30.
  explicit State(StateShape shape);
  State(State&&) noexcept;
  State& operator=(State&&) noexcept;
  ~State();
  // Copies the values. Rows per token are shared, and copied when one of both goes on.
  State Clone() const { return State(*this); }

  const StateShape& shape() const { return shape_; }

  // The execution identity that computed the whole state; empty if nobody said so. Model::Forward
  // empties it unless it has this identity itself, and Model::Identity has returned it.
  const std::string& identity() const { return shape_.identity; }
  void set_identity(std::string identity) { shape_.identity = std::move(identity); }

  // Per layer: att_shift [C], wkv, ffn_shift [C]. wkv is [heads, N keys, N values], or v4's aa, bb,
  // pp.
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }

  // The tokens whose rows the state keeps, and all bytes of its values and rows, shared ones
  // included. 0 tokens without attention.
  size_t tokens() const;
  size_t bytes() const;
  // Those rows, to the library; null without attention.
  PastTokens* past() { return past_.get(); }
  const PastTokens* past() const { return past_.get(); }

  // Throws Error kNoMemory if `count` more tokens would take the rows past StateShape::row_limit.
  void CheckRoom(size_t count) const;

  // Takes over the values and rows of a state of the same shape; values() stay where they are.
  void CopyFrom(const State& other);
  // Resets to the start of a sequence.
  void Reset();

  // The reference's list (ChatRWKV): per layer att_x, aa, bb, pp, ffn_x (v4), or
  // att_x, S, ffn_x with S [H, N, N] as [key][value] (v5, v6), [value][key] (v7). With attention
  // these are followed by the token ids, per layer the rows of all tokens, and per layer the last
  // query; what the reference keeps of layers that the model does not have is zeros, or missing if
  // it is rows.
  std::vector<StateTensor> ToReference() const;
  // Throws Error kBadState naming the first tensor that does not fit.
  static State FromReference(StateShape shape, const std::vector<StateTensor>& list);

  // Writes safetensors: `state.000` … by the numbers of the reference's list, with the shape as
  // metadata, and the identity if there is one. With `logits` [V], those after the last token, a
  // reader can continue without feeding another token.
  // The file appears only when complete. Throws Error kIo, or kBadInput for a .pth.
  void Save(const std::filesystem::path& path, std::span<const float> logits = {}) const;

  // Reads a file written by Save, or a tuned initial state (`blocks.N.att.time_state`, .pth or
  // safetensors). Throws Error kIo or kBadState: a state of another model, generation or size is
  // refused, and the message names both; so is a saved state of another identity than
  // `model.identity`, unless that is empty. `logits`, if not null, gets what Save was given, or
  // becomes empty.
  static State Load(const std::filesystem::path& path, const StateShape& model,
                    std::vector<float>* logits = nullptr);

  // Reads a file written by Save, from any model.
  static State Load(const std::filesystem::path& path);

 private:
  State(const State& other);

  StateShape shape_;
  std::vector<float, LineAllocator<float>> values_;
  std::unique_ptr<PastTokens> past_;
};

}  // namespace linnet

#endif  // LINNET_STATE_H_
